"""A real browser that looks at one page, served with the headers that a test wants."""

import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

TIMEOUT_S = 120
WIDTH_PX = 1200
QUIET = (
    "--headless",
    # It runs as root, in which it refuses its own sandbox, on a page of ours.
    "--no-sandbox",
    "--disable-gpu",
    "--hide-scrollbars",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    # Nothing but the page is to be reached, whatever a browser would like to fetch for itself.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--enable-logging=stderr",
)


@dataclass(frozen=True)
class Seen:
    """A picture of the page as PNG, and what the browser complained about."""

    picture: bytes
    complaints: list[str]


def look(folder: Path, page: bytes, headers: Mapping[str, str], height_px: int = 4000) -> Seen:
    """Open a page in Chromium.

    Args:
        folder: For its profile and the picture; of this call alone.
        page: HTML.
        headers: Sent with it, policies among them.
        height_px: How much of it is on the picture, from the top.
    """
    chromium = shutil.which("chromium")
    assert chromium, "chromium is absent: tests/lab/setup.sh installs it"
    folder.mkdir()
    picture = folder / "page.png"
    where = (f"--user-data-dir={folder}", f"--screenshot={picture}")
    size = f"--window-size={WIDTH_PX},{height_px}"
    with _served(page, headers) as url:
        done = subprocess.run(
            [chromium, *QUIET, *where, size, url],
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    assert picture.exists(), done.stderr
    return Seen(picture.read_bytes(), [c for c in done.stderr.splitlines() if "CONSOLE" in c])


@contextmanager
def _served(page: bytes, headers: Mapping[str, str]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = self.path == "/"
            self.send_response(200 if found else 404)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(page if found else b"")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            server.shutdown()
            thread.join()
