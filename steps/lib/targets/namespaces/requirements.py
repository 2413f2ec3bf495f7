"""What the machine must offer: rights and programs for all, kernel features for some plugins."""

import errno
import os
import shutil
import subprocess
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from steps.lib import tools
from steps.lib.errors import InputError
from steps.lib.models import Plugin
from steps.lib.setting import Wanted
from steps.lib.targets.namespaces import cgroups, netns
from steps.lib.targets.namespaces.layout import UPLINK
from steps.lib.targets.namespaces.links import KernelRefusalError, netlink
from steps.lib.targets.namespaces.tuning.access import Access
from steps.lib.targets.namespaces.tuning.kinds import look_up
from steps.lib.traffic import TOOLS

PROGRAMS = {
    "nsenter": "util-linux",
    "setpriv": "util-linux",
    "nft": "nftables",
    "ethtool": "ethtool",
    "ip": "iproute2",
    "tc": "iproute2",
}
"""Programs of the machine, with their Debian packages. nft is called by a plugin and by us."""

TOPOLOGY_KINDS = ("veth", "bridge")
"""Kinds of link that nodes are joined by, whatever the plugin."""


def missing(toolbox: Path | None) -> list[str]:
    """Everything that is absent, each with what to do about it."""
    if os.geteuid() != 0:
        return ["network namespaces need root: run as root"]
    problems = []
    for program, package in PROGRAMS.items():
        if shutil.which(program) is None:
            problems.append(f"{program} is absent: apt-get install {package}")
    problems += _cgroups()
    problems += _kernel()
    if not os.access("/run", os.W_OK):
        problems.append("/run is not writable: namespaces and the state of a block are kept there")
    problems += _tools(toolbox)
    return problems


def unsupported_links(plugin: Plugin) -> str | None:
    """Why the kernel cannot run a plugin, or None."""
    for kind in plugin.needs.link_kinds:
        reason = link_kind_problem(kind)
        if reason:
            return f"this kernel cannot create a {kind} device: {reason}"
    return None


@lru_cache
def link_kind_problem(kind: str) -> str | None:
    """Create a link of a kind where nobody sees it; the reason if the kernel has no such kind.

    Asked without parameters, some kinds refuse too (no parent, no network identifier), but only one
    that does not exist, and that no module brings, is "not supported" (rtnl_newlink in the kernel).
    """
    with netns.scratch(), netlink(None) as own:
        try:
            own.add_link("trial", kind)
        except KernelRefusalError as error:
            if error.code == errno.EOPNOTSUPP:
                return str(error).rpartition(": ")[2]
    return None


def lacking(wanted: Sequence[Wanted]) -> dict[Wanted, str]:
    """Settings that nodes here do not have, by looking at one like them where nobody sees it.

    Raises:
        RefusedError: a value that they do not offer.
    """
    with netns.scratch():
        with netlink(None) as own:
            own.add_link(UPLINK, "veth", peer={"ifname": "wire"})
            own.set_link("wire", state="up")
            own.set_link(UPLINK, state="up")  # Before, it has no queue discipline.
        node = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        # From outside, as a node is looked at: settings of the whole kernel are not visible in it.
        looks = look_up(Access(f"/proc/{os.getpid()}/fd/{node}", UPLINK), wanted)
    finally:
        os.close(node)
    return {one: look.lacking for one, look in zip(wanted, looks, strict=True) if look.lacking}


def _kernel() -> list[str]:
    if os.geteuid() != 0:
        return []  # Nobody else may try.
    reasons = {kind: link_kind_problem(kind) for kind in TOPOLOGY_KINDS}
    return [f"this kernel cannot create a {k} device: {why}" for k, why in reasons.items() if why]


def _cgroups() -> list[str]:
    mounted = cgroups.mount_point()
    if mounted is None:
        return ["no cgroup2 file system is mounted: mount -t cgroup2 none /sys/fs/cgroup"]
    if not os.access(mounted, os.W_OK):
        return [f"{mounted} is not writable: CPU of the tools is counted in groups made there"]
    return []


def _tools(toolbox: Path | None) -> list[str]:
    problems = _host_tools() if toolbox is None else []
    for check in (lambda: tools.toolbox_digest(toolbox), tools.cni_plugins):
        try:
            check()
        except InputError as error:
            problems.append(str(error))
    return problems


def _host_tools() -> list[str]:
    """The machine's own programs, which must have the versions whose output is understood."""
    packages = tools.HOST_PROGRAMS.items()
    problems = [f"{p} is absent: apt-get install {d}" for p, d in packages if not shutil.which(p)]
    for tool in (t for t in TOOLS if shutil.which(t.name)):
        command = tool.version_command or (tool.name, "--version")
        said = subprocess.run(
            command, capture_output=True, text=True, timeout=5, check=False
        ).stdout
        if tool.version not in said.split():
            found = " ".join(said.split()[:4]) or "nothing"
            problems.append(
                f"{tool.name} says {found!r}, needed is {tool.version}: install that version, or "
                "use the tool box (`--tools box`)"
            )
    return problems
