"""The browser of these tests tells a page that its policy stops from one that it does not."""

from pathlib import Path

import pytest

from tests.lab.on_argo.browser import look

pytestmark = pytest.mark.lab


def test_a_page_that_the_content_policy_stops_looks_different(tmp_path: Path) -> None:
    page = b"<!doctype html><body><script>document.body.textContent = 'it ran'</script>"
    free = look(tmp_path / "free", page, {"Content-Type": "text/html"})
    policy = {"Content-Type": "text/html", "Content-Security-Policy": "default-src 'none'"}
    stopped = look(tmp_path / "stopped", page, policy)
    assert stopped.picture != free.picture
    assert free.complaints == []
    assert stopped.complaints
