"""A run that is told to end does so soon, also where nothing can be put back any more."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.api_server import ApiServer, Document

pytest_plugins = ["tests.api_server"]

CAMPAIGN = """\
name: ended
title: Ended
target: {kind: kubernetes, name: ended, context: in-memory}
plugins: [host-network]
profiles: [base]
matrix: smoke
repeats: 1
seed: 1
"""
OURS = "/api/v1/namespaces/cnibench"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/cnibench/leases"


@pytest.fixture
def running(
    api_server: "ApiServer", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator["subprocess.Popen[str]"]:
    """A run that holds its target, whose API server has gone since."""
    carry_out = api_server.carry_out

    def until_held(method: str, path: str, body: "Document") -> tuple[int, "Document"]:
        answer = carry_out(method, path, body)
        if path == LEASES:
            api_server.losing = ["GET"] * 100
        return answer

    monkeypatch.setattr(api_server, "carry_out", until_held)
    for name in ("n1", "n2"):
        api_server.add_node(name, "False")
    api_server.objects[f"{OURS}/serviceaccounts/default"] = {"metadata": {"name": "default"}}
    file = tmp_path / "campaign.yaml"
    file.write_text(CAMPAIGN)
    command = [sys.executable, "-m", "cnibench", "run", str(file), f"--store={tmp_path / 'store'}"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            while f"{LEASES}/cnibench" not in api_server.objects:
                assert process.poll() is None, process.stderr and process.stderr.read()
                time.sleep(0.05)
            api_server.shutdown()
            api_server.server_close()
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_run_ends_when_it_is_told_although_its_api_server_has_gone(
    running: "subprocess.Popen[str]", number: signal.Signals
) -> None:
    running.send_signal(number)
    _, said = running.communicate(timeout=20)
    assert running.returncode == 130
    assert "the target is not taken down" in said
