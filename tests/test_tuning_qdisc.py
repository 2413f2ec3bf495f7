"""Queue disciplines of a device with one queue or many, which depend on the kernel's default."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from steps.lib.restoring import restore
from steps.lib.targets.namespaces import netns
from steps.lib.targets.namespaces.programs import output
from steps.lib.targets.namespaces.tuning.access import Access
from steps.lib.targets.protocol import Node
from steps.lib.tuning import apply_profile, read_back
from tests.trees import Trees
from tests.tuning import STATE, entry, profile, sysctl

pytestmark = pytest.mark.namespaces

PAIR = profile(sysctl("net.core.default_qdisc", "bfifo", "node"), entry("qdisc", "pfifo"))
"""The device's is changed after the kernel's default, and so comes back before it."""


class Tap(Trees):
    """One node whose device has a queue discipline by default: a virtual pair has none."""

    def __init__(self, folder: Path, namespace: str) -> None:
        super().__init__(folder, "n1")
        self.namespace = namespace

    def access(self, node: Node) -> Access:
        return Access(self.namespace, "eth0")

    def shown(self) -> str:
        return output(["tc", "qdisc", "show", "dev", "eth0"], namespace=self.namespace)


@pytest.fixture(params=["", "multi_queue"], ids=["one", "many"])
def tap(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Tap]:
    with netns.scratch():
        output(["ip", "tuntap", "add", "dev", "eth0", "mode", "tap", *request.param.split()])
        output(["ip", "link", "set", "eth0", "up"])
        node = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    yield Tap(tmp_path, f"/proc/{os.getpid()}/fd/{node}")
    os.close(node)


def test_the_kernels_choice_comes_back_also_if_its_default_was_changed_before(tap: Tap) -> None:
    default = Path("/proc/sys/net/core/default_qdisc")
    before, shown = default.read_text(), tap.shown()
    assert before != "bfifo\n"
    try:
        state = apply_profile(tap.target, STATE, PAIR)
        assert read_back(tap.target, state).wrong == ()
        assert (default.read_text(), "qdisc pfifo " in tap.shown()) == ("bfifo\n", True)
        assert restore(tap.target, state)[1] == []
        assert (default.read_text(), tap.shown()) == (before, shown)
    finally:
        default.write_text(before)


def test_what_a_plugin_hangs_on_the_device_is_no_change_of_its_queues(tap: Tap) -> None:
    state = apply_profile(tap.target, STATE, profile(entry("qdisc", "pfifo")))
    output(["tc", "qdisc", "add", "dev", "eth0", "ingress"], namespace=tap.namespace)
    assert restore(tap.target, state)[1] == []
