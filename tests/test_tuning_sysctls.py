"""Kernel settings that depend on each other, on a kernel whose ``/proc/sys`` is a folder."""

import re
from pathlib import Path

import pytest

from steps.lib.errors import RefusedError
from steps.lib.models import Entry
from steps.lib.setting import Look
from steps.lib.targets.namespaces import settings
from steps.lib.targets.namespaces.tuning import sysctls
from steps.lib.targets.namespaces.tuning.access import Access
from steps.lib.targets.namespaces.tuning.kinds import look_up
from tests.tuning import entry, sysctl, wanted

pytestmark = pytest.mark.namespaces  # Which they enter: the machine's own.


SCOPES = {sysctls.ALLOWED: "node", sysctls.CONGESTION_CONTROL: "netns"}


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


def test_what_is_allowed_is_named_in_the_order_in_which_the_kernel_lists_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With BBR built in and cubic the default, BBR was registered before cubic."""
    monkeypatch.setattr(settings, "_ROOT", tmp_path)
    folder = tmp_path / "net" / "ipv4"
    folder.mkdir(parents=True)
    for name, value in (
        (sysctls.CONGESTION_CONTROL, "cubic"),
        (sysctls.ALLOWED, "reno cubic"),
        (sysctls.AVAILABLE, "reno bbr cubic"),
    ):
        (folder / name.rpartition(".")[2]).write_text(f"{value}\n")
    monkeypatch.setattr(settings, "scope", lambda name: SCOPES[name])
    (found,) = look(entry("congestion_control", "bbr"))
    if found.lacking:
        pytest.skip(found.lacking)
    assert [f.intended for f in found.found] == ["reno bbr cubic", "bbr"]


def test_a_setting_that_can_only_be_read_is_as_asked_or_lacking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "_ROOT", tmp_path)
    (tmp_path / "vm").mkdir()
    file = tmp_path / "vm" / "swappiness"
    file.write_text("10\n")
    file.chmod(0o444)
    (as_asked, other) = (look(sysctl("vm.swappiness", value, "node"))[0] for value in ("10", "60"))
    assert [(f.present, f.intended) for f in as_asked.found] == [("10", "10")]
    assert other.lacking == "vm.swappiness: it can only be read"
