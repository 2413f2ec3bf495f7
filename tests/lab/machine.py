"""What there is on this machine, to be the same before and after a lab."""

import json
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from lab.groups import hierarchies
from lab.layout import Lab, cache
from steps.lib.targets.namespaces import netns

COUNTERS = ("nf_conntrack_count", "/neigh/", "/route/flush", "/ipfrag_secret", "stable_secret")
"""Settings that change by themselves, and those that cannot be read."""

WHOLE_MACHINE = (
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/timer_migration",
    "kernel/unprivileged_bpf_disabled",
)
"""Settings of the whole machine that a kubelet or a network plugin changes where it can."""

FOLDERS = ("/run", "/etc/cni", "/etc/kubernetes", "/opt/cni", "/var/lib/cni", "/var/lib/kubelet")
FOLDERS_DEPTH = 3


def inventory(lab: Lab) -> dict[str, list[str]]:
    """Everything that a lab could leave or change, without what labs of other names do."""
    found = network() | {
        "processes": _processes(lab),
        "namespaces": netns.names(""),
        "mounts": Path("/proc/mounts").read_text().splitlines(),
        "groups": [str(p) for each in hierarchies() for p in each.place.glob("*/**")],
        "files": [str(path) for folder in FOLDERS for path in _tree(Path(folder))],
        "disks": [str(path) for path in (cache() / "lab").glob("*")],
    }
    return {kind: sorted(_own(lab, lines)) for kind, lines in found.items()}


def changes(before: dict[str, list[str]], after: dict[str, list[str]]) -> list[str]:
    """What an inventory has that the earlier one had not, and the other way round."""
    return [
        f"{sign} {kind}: {line}"
        for kind in before
        for sign, here, there in (("-", before, after), ("+", after, before))
        for line in here[kind]
        if line not in set(there[kind])
    ]


def network() -> dict[str, list[str]]:
    """The machine's own network, of which a lab may change nothing at any time."""
    return {
        "links": _links(),
        "routes": _lines("ip route show table all"),
        "rules": _lines("ip rule"),
        "nft": _lines("nft --stateless list ruleset"),
        "iptables": _lines("iptables-save"),
        "settings": list(_settings()),
    }


def _own(lab: Lab, lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        if "cnib" not in line or lab.name in line:
            yield line


def _links() -> list[str]:
    found = json.loads(subprocess.check_output(["ip", "-json", "address"], text=True))
    return [
        f"{link['ifname']} {link['flags']} {link['mtu']} {[a['local'] for a in link['addr_info']]}"
        for link in found
    ]


def _lines(command: str) -> list[str]:
    lines = subprocess.check_output(command.split(), text=True).splitlines()
    return [line for line in lines if not line.startswith("#")]


def _settings() -> Iterator[str]:
    root = Path("/proc/sys")
    for file in [*root.glob("net/**/*"), *(root / name for name in WHOLE_MACHINE)]:
        if file.is_file() and not any(word in str(file) for word in COUNTERS):
            yield f"{file.relative_to(root)} = {file.read_text(errors='replace').strip()}"


def _processes(lab: Lab) -> list[str]:
    """Processes that have anything of the lab in their groups, mounts or command."""
    marks = (lab.group, f"/lab/{lab.name}/", f"cnib-{lab.name}-")
    return [line for line in map(_process, Path("/proc").iterdir()) if line_has(line, marks)]


def _process(directory: Path) -> str:
    try:
        names = ("cgroup", "mountinfo", "cmdline")
        return " ".join((directory / name).read_text(errors="replace") for name in names)
    except OSError:
        return ""  # Not a process, or it has just ended.


def line_has(line: str, marks: tuple[str, ...]) -> bool:
    return any(mark in line for mark in marks)


def _tree(folder: Path, depth: int = FOLDERS_DEPTH) -> Iterator[Path]:
    if not folder.exists():
        return
    yield folder
    if depth and folder.is_dir() and not folder.is_symlink():
        for child in folder.iterdir():
            yield from _tree(child, depth - 1)
