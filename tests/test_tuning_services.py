"""Services of a node, as its service manager tells of them: a program that answers as it does."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from steps.lib.setting import Found, Look
from steps.lib.targets.namespaces.tuning import machine
from steps.lib.targets.namespaces.tuning.access import Access
from steps.lib.targets.namespaces.tuning.kinds import look_up, read, write
from tests.tuning import entry

MANAGER = """\
#!/bin/sh
cd "$(dirname "$0")"
for unit; do :; done
case $1 in
    show) cat "$unit" 2>/dev/null || printf 'LoadState=not-found\\nActiveState=inactive\\n' ;;
    start) printf 'LoadState=loaded\\nActiveState=active\\n' >"$unit" ;;
    stop) printf 'LoadState=loaded\\nActiveState=inactive\\n' >"$unit" ;;
esac
"""
NODE = Access("/proc/self/ns/net", "eth0")


@pytest.fixture
def units(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a file for each service that the manager knows."""
    program = tmp_path / "systemctl"
    program.write_text(MANAGER)
    program.chmod(0o755)
    monkeypatch.setattr(machine, "_ENTERING", ("env", f"PATH={tmp_path}:/usr/bin:/bin"))
    return tmp_path


@pytest.fixture
def of_a_container(tmp_path: Path) -> Iterator[None]:
    """A process that is called as a service is: /proc of a node shows those of pods, too."""
    program = tmp_path / "elsewhere" / "cron"
    program.parent.mkdir()
    shutil.copy("/usr/bin/sleep", program)
    with subprocess.Popen([program, "60"]) as process:
        yield
        process.kill()


def look(service: str) -> Look:
    (found,) = look_up(NODE, [entry("service_stopped", "stopped", service).wanted])
    return found


def test_a_service_is_stopped_and_started_whatever_a_container_is_called(
    units: Path, of_a_container: None
) -> None:
    (units / "cron").write_text("LoadState=loaded\nActiveState=active\n")
    (found,) = look("cron").found
    assert found == Found(found.setting, "running", "stopped")
    write(NODE, found.setting, "stopped")
    assert read(NODE, [found.setting]) == ["stopped"]
    write(NODE, found.setting, "running")
    assert read(NODE, [found.setting]) == ["running"]


@pytest.mark.parametrize(
    ("state", "shown"), [("failed", "stopped"), ("activating", "running"), ("active", "running")]
)
def test_a_service_on_its_way_up_runs_and_one_that_failed_does_not(
    units: Path, state: str, shown: str
) -> None:
    (units / "snapd").write_text(f"LoadState=loaded\nActiveState={state}\n")
    assert [found.present for found in look("snapd").found] == [shown]


def test_a_service_that_the_node_does_not_know_is_lacking_also_beside_a_container(
    units: Path, of_a_container: None
) -> None:
    """As `cron` where it is called `crond`: stopping what is not there proves nothing."""
    assert look("cron").lacking == "service_stopped cron: the node has no service cron"
