"""Kernel settings that depend on each other, on a kernel whose ``/proc/sys`` is a folder."""

import re
from pathlib import Path

import pytest

from steps.lib.errors import RefusedError
from steps.lib.models import Entry
from steps.lib.setting import Look
from steps.lib.targets.namespaces import settings
from steps.lib.targets.namespaces.tuning.access import Access
from steps.lib.targets.namespaces.tuning.kinds import look_up
from tests.tuning import sysctl, wanted

pytestmark = pytest.mark.namespaces  # Which they enter: the machine's own.


def look(*entries: Entry) -> list[Look]:
    return look_up(Access("/proc/self/ns/net", "eth0"), wanted(*entries))


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder instead of ``/proc/sys``, with the limits of write-back given in bytes."""
    monkeypatch.setattr(settings, "_ROOT", tmp_path)
    (tmp_path / "vm").mkdir()
    for name, value in (("dirty_ratio", "0"), ("dirty_bytes", "268435456")):
        (tmp_path / "vm" / name).write_text(f"{value}\n")
        other = name.replace("_", "_background_")
        (tmp_path / "vm" / other).write_text(f"{value}\n")
    return tmp_path


@pytest.mark.parametrize("name", ["vm.dirty_ratio", "vm.dirty_background_ratio"])
def test_a_share_is_not_set_where_bytes_are_given_which_would_be_lost(
    kernel: Path, name: str
) -> None:
    twin = name.replace("ratio", "bytes")
    with pytest.raises(RefusedError, match=f"{name}: .* would make {twin}, which is 268435456, z"):
        look(sysctl(name, "10", "node"))
    (kernel / twin.replace(".", "/")).write_text("0\n")
    (found,) = look(sysctl(name, "10", "node"))
    assert found.found[0].intended == "10"


def test_bytes_are_not_set_where_this_kernel_has_a_share() -> None:
    name = "vm.dirty_bytes"
    if Path("/proc/sys/vm/dirty_ratio").read_text() == "0\n":
        pytest.skip("this machine's limits are in bytes")
    with pytest.raises(RefusedError, match=re.escape(f"{name}: setting it would make vm.dirty_ra")):
        look(sysctl(name, "268435456", "node"))
