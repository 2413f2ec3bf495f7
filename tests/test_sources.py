"""What plugins are installed from: fetched by https, checked by digest, kept in a mirror."""

import io
import ssl
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from steps.lib import locking, sources
from steps.lib.catalog import LOCK, Catalog, Job
from steps.lib.errors import InputError, RefusedError, TransientError
from steps.lib.models import Origin
from tests.catalogs import PLUGIN, change, loaded, make_catalog
from tests.jobs import job

MANIFEST = b"kind: Namespace\n"


@pytest.fixture(autouse=True)
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CNIBENCH_MIRROR", str(tmp_path / "mirror"))
    return tmp_path / "mirror"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        if self.path != "/elsewhere.yaml":
            return super().do_GET()
        self.send_response(302)
        self.send_header("Location", "http://127.0.0.1/plain.yaml")
        return self.end_headers()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificate")
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1"
    extension = ["-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    subprocess.run([*command.split(), *extension, *files], check=True, capture_output=True)
    return folder


@pytest.fixture
def site(tmp_path: Path, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A site with a manifest, and an archive of a chart as GitHub makes them."""
    root = tmp_path / "site"
    root.mkdir()
    (root / "manifest.yaml").write_bytes(MANIFEST)
    with tarfile.open(root / "v1.tar.gz", "w:gz") as archive:
        for name, text in {
            "chart/Chart.yaml": "name: x\n",
            "chart/templates/a.yaml": "a: 1\n",
        }.items():
            member = tarfile.TarInfo(f"project-1/{name}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
        link = tarfile.TarInfo("project-1/chart/link.yaml")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    (root / "torn.tar.gz").write_bytes((root / "v1.tar.gz").read_bytes()[:80])
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(root)))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate / "cert.pem"))
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"https://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def chart(folder: Path) -> Path:
    """The chart that the site has in its archive."""
    (folder / "templates").mkdir(parents=True)
    (folder / "Chart.yaml").write_text("name: x\n")
    (folder / "templates" / "a.yaml").write_text("a: 1\n")
    return folder


def test_a_file_is_fetched_once_and_then_taken_from_the_mirror(
    site: str, mirror: Path, tmp_path: Path
) -> None:
    digest = sources.digest_of(tmp_path / "site" / "manifest.yaml")
    origin = Origin(url=f"{site}/manifest.yaml", digest=digest)
    place = sources.fetch(origin)
    assert place == mirror / digest.removeprefix("sha256:")
    assert place.read_bytes() == MANIFEST
    (tmp_path / "site" / "manifest.yaml").unlink()
    assert sources.fetch(origin) == place
    assert [p.name for p in mirror.iterdir()] == [place.name], "nothing half-fetched stays"


def test_a_folder_of_an_archive_has_the_digest_of_the_same_folder_elsewhere(
    site: str, tmp_path: Path
) -> None:
    digest = sources.digest_of(chart(tmp_path / "chart"))
    place = sources.fetch(Origin(url=f"{site}/v1.tar.gz", path="chart", digest=digest))
    assert sorted(p.name for p in place.rglob("*")) == ["Chart.yaml", "a.yaml", "templates"]
    file = Origin(url=f"{site}/v1.tar.gz", path="chart/Chart.yaml")
    assert sources.fetch(file, allow_unlocked=True).read_text() == "name: x\n"


def test_what_was_changed_at_its_source_is_refused_and_not_kept(site: str, mirror: Path) -> None:
    wanted = f"sha256:{'0' * 64}"
    with pytest.raises(RefusedError) as raised:
        sources.fetch(Origin(url=f"{site}/manifest.yaml", digest=wanted))
    said = str(raised.value)
    assert f"manifest.yaml# was changed: sources.lock.yaml says {wanted}, found is sha256:" in said
    assert "if the change is wanted run `cnibench catalog lock`" in said
    assert list(mirror.iterdir()) == []


def test_what_was_changed_in_the_mirror_is_refused(tmp_path: Path, mirror: Path) -> None:
    digest = sources.add_to_mirror(chart(tmp_path / "chart"))
    origin = Origin(url="https://example.org/v1.tgz", path="chart", digest=digest)
    place = sources.fetch(origin)
    (place / "Chart.yaml").write_text("name: y\n")
    with pytest.raises(RefusedError, match=f"{place}: delete it, to fetch it again"):
        sources.fetch(origin)


def test_what_has_no_digest_is_refused_unless_that_is_allowed(site: str) -> None:
    origin = Origin(url=f"{site}/manifest.yaml")
    with pytest.raises(InputError, match=r"has no digest in .* --allow-unlocked"):
        sources.fetch(origin)
    assert sources.fetch(origin, allow_unlocked=True).read_bytes() == MANIFEST


FAILURES: list[tuple[str, str | None, type[Exception], str]] = [
    ("/v1.tar.gz", "charts", InputError, "does not hold charts; correct `path`"),
    ("/torn.tar.gz", "chart", InputError, "is no archive that can be read"),
    ("/none.yaml", None, InputError, "cannot be fetched: HTTP status 404"),
    ("/elsewhere.yaml", None, InputError, "redirects to http://127.0.0.1/plain.yaml, not to https"),
]


@pytest.mark.parametrize(("file", "path", "kind", "said"), FAILURES)
def test_what_cannot_be_fetched_is_told_with_the_reason(
    site: str, mirror: Path, file: str, path: str | None, kind: type[Exception], said: str
) -> None:
    with pytest.raises(kind, match=said):
        sources.fetch(Origin(url=f"{site}{file}", path=path), allow_unlocked=True)
    assert list(mirror.iterdir()) == []


def test_a_server_that_does_not_answer_may_be_tried_again() -> None:
    origin = Origin(url="https://127.0.0.1:9/x.yaml")
    with pytest.raises(TransientError, match="without a network put it into the mirror"):
        sources.fetch(origin, allow_unlocked=True)


def test_too_much_is_not_taken(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "SIZE_BYTES_MAX", 8)
    with pytest.raises(InputError, match="is larger than"):
        sources.fetch(Origin(url=f"{site}/manifest.yaml"), allow_unlocked=True)


def test_adding_prints_digest_and_place(tmp_path: Path, mirror: Path) -> None:
    command = [sys.executable, "-m", "steps.lib.sources", "add", str(chart(tmp_path / "chart"))]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    digest, place = done.stdout.split()
    assert digest == sources.digest_of(Path(place))
    assert Path(place).parent == mirror
    with pytest.raises(InputError, match="no such file, or a folder without files"):
        sources.add_to_mirror(tmp_path / "none")


@pytest.fixture
def catalog(tmp_path: Path, site: str) -> Catalog:
    """A small catalog whose first plugin is a manifest of the site."""
    folder = make_catalog(tmp_path)
    change(folder / PLUGIN, "version: any}", f"version: any, url: {site}/manifest.yaml}}")
    change(folder / PLUGIN, "[namespaces]", "[kubernetes]")
    change(folder / PLUGIN, "host-network}", "manifest, namespace: x}")
    change(folder / PLUGIN, "unsupported:\n", "unsupported:\n  pod-service: no pods\n")
    return Catalog(folder)


def test_locking_records_each_source_and_keeps_what_it_cannot_fetch(
    catalog: Catalog, site: str, tmp_path: Path
) -> None:
    (first,) = locking.lock(catalog)
    digest = sources.digest_of(tmp_path / "site" / "manifest.yaml")
    assert (first.key, first.outcome) == (f"{site}/manifest.yaml#", f"new: {digest}")
    text = (catalog.root / LOCK).read_text()
    assert text == f"{locking.HEADER}sources:\n  {first.key}: {digest}\n"
    again = Catalog(catalog.root)
    assert again.plugins.load("derived").source.digest == digest
    assert [s.outcome for s in locking.lock(again, ["plain"])] == ["unchanged"]
    (tmp_path / "site" / "manifest.yaml").unlink()
    assert locking.lock(again)[0].outcome.startswith("not fetched: ")
    assert (catalog.root / LOCK).read_text() == text


def test_a_job_tells_what_of_it_is_not_locked_and_can_be_pinned(
    catalog: Catalog, site: str, tmp_path: Path
) -> None:
    plugin = catalog.plugins.load("plain")
    of: Job = job(("bridge-routes",)).model_copy(update={"plugins": (plugin,)})
    assert sources.unlocked(of) == [f"plain: {site}/manifest.yaml#"]
    pinned = locking.pinned(of)
    assert sources.unlocked(pinned) == []
    digest = sources.digest_of(tmp_path / "site" / "manifest.yaml")
    assert pinned.plugins[0].source.digest == digest
    assert sources.unlocked(job(("bridge-routes", "host-network"))) == []


def test_a_lock_file_written_by_hand_is_told_with_its_place(tmp_path: Path) -> None:
    folder = make_catalog(tmp_path)
    (folder / LOCK).write_text("sources:\n  https://example.org/a.yaml#: md5:1\n")
    with pytest.raises(InputError, match=r"sources\.lock\.yaml:2: sources\.https://example\.org/a"):
        loaded(folder)
