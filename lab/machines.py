"""Nodes that are virtual machines, with a kernel of their own: for what this machine's lacks.

Where the processor's own virtualization is out of reach they are emulated in software, about 13
times slower. So they show that something works, and no speed.
"""

import hashlib
import os
import shutil
from pathlib import Path

from lab import images, processes, programs
from lab.groups import Groups
from lab.layout import DATA, GATEWAY, SWITCH, UNDERLAY, Host, Lab, cache
from lab.lock import exclusively
from lab.progress import say
from steps.lib import tools

QEMU = "qemu-system-x86_64"
SETUP = "run `lab/machine/setup.sh`"

PROCESSORS = 2
MEMORY_MIB = 3072
"""Of one node, at most: what it never touches is never taken."""

DISK_GIB = 16
"""As the node sees it. What it writes is in a file without a name, which goes with qemu."""

LOCK = "cnibench disk of machines"
MAKE_TIMEOUT_S = 300.0


def missing() -> list[str]:
    """What nodes of this kind need and is absent, each with what to do about it."""
    problems = [] if shutil.which(QEMU) else [f"{QEMU} is absent: {SETUP}"]
    return problems if _kernel_folder().is_dir() else [*problems, f"no kernel is here: {SETUP}"]


def is_emulated() -> bool:
    """Whether machines run in software.

    A kernel can have ``/dev/kvm`` where the processor has no virtualization (kvm_pvm); it then runs
    only guests that were made for it, and Debian's kernel hangs.
    """
    flags = set(Path("/proc/cpuinfo").read_text().split())
    return not (flags & {"vmx", "svm"} and os.access("/dev/kvm", os.R_OK | os.W_OK))


def start(lab: Lab, host: Host, disk: Path) -> None:
    """Start a node whose own files are in ``disk/upper``; its disk begins anew each time."""
    with exclusively(LOCK):
        common = _common_disk()
    own = disk / "configuration.ext4"
    _make_file_system(disk / "upper", own, "256M")
    command = _command(host, common, own)
    # Where qemu puts what the node writes.
    environment = {"TMPDIR": str(disk)}
    processes.launch(lab, host.name, command, lab.namespaces[SWITCH], environment)


def pid(lab: Lab, host: Host) -> int | None:
    """The process that is a node; None when it does not run."""
    return min(Groups(lab.group).processes(host.name), default=None)


def _command(host: Host, common: Path, own: Path) -> list[str]:
    accelerators = ["tcg,thread=multi"] if is_emulated() else ["kvm", "tcg,thread=multi"]
    kernel = _kernel_folder()
    words = {
        "NODE_NAME": host.name,
        "NODE_ADDRESS": host.address,
        "NODE_PREFIX": str(UNDERLAY.prefixlen),
        "NODE_GATEWAY": GATEWAY,
    }
    settings = ("console=ttyS0", "quiet", "panic=-1", "net.ifnames=0", "mitigations=off")
    tap = f"tap,id=wire,ifname={host.name},script={DATA / 'machine-plug.sh'},downscript=no"
    return [
        *(QEMU, "-nodefaults", "-no-reboot", "-display", "none", "-serial", "stdio"),
        *("-machine", "q35", "-cpu", "max", "-smp", str(PROCESSORS), "-m", str(MEMORY_MIB)),
        *(word for each in accelerators for word in ("-accel", each)),
        *("-kernel", str(kernel / "vmlinuz"), "-initrd", str(kernel / "first.gz")),
        *("-append", " ".join([*settings, *(f"{k}={v}" for k, v in words.items())])),
        *("-drive", f"file={common},format=raw,if=virtio,snapshot=on,cache=unsafe"),
        *("-drive", f"file={own},format=raw,if=virtio,readonly=on"),
        *("-netdev", tap, "-device", f"virtio-net-pci,netdev=wire,mac={_hardware_address(host)}"),
        *("-device", "virtio-rng-pci"),
    ]


def _hardware_address(host: Host) -> str:
    """Of the node's device: locally administered, with the node's own address in it."""
    return ":".join(["52:54", *(f"{int(part):02x}" for part in host.address.split("."))])


def _kernel_folder() -> Path:
    return tools.tools_directory() / "lab/machine"


def _common_disk() -> Path:
    """The disk that all nodes begin with, made once for what is on it: system, programs, images."""
    parts = [
        images.prepare(),
        tools.toolbox(),
        _kernel_folder().resolve(),
        *programs.node_programs(),
    ]
    key = hashlib.sha256("\n".join([*map(str, parts), str(DISK_GIB)]).encode()).hexdigest()[:16]
    disk = cache() / "lab-machines" / f"{key}.ext4"
    if not disk.exists():
        say("making the disk of virtual machines, once")
        shutil.rmtree(disk.parent, ignore_errors=True)
        tree = disk.parent / "tree"
        _fill(tree)
        _make_file_system(tree, disk.with_suffix(".new"), f"{DISK_GIB}G")
        shutil.rmtree(tree)
        disk.with_suffix(".new").rename(disk)
    return disk


def _fill(tree: Path) -> None:
    """Lay out the root file system, of links where the files are in the cache already."""
    kernel = _kernel_folder()
    tree.mkdir(parents=True)
    _link(tools.toolbox(), tree)
    containerd = tree / "var/lib/containerd"
    containerd.mkdir(parents=True)
    images.lay_down(containerd)
    _link(kernel / "lib/modules", tree / "usr/lib/modules")
    for program in programs.node_programs():
        shutil.copy2(program, tree / "usr/local/bin")
    # By which the kernel loads modules.
    shutil.copy2(kernel / "busybox", tree / "usr/sbin/modprobe")


def _link(source: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    command = ["cp", "--archive", "--link", f"{source.resolve()}/.", str(target)]
    images.succeed(command, MAKE_TIMEOUT_S)


def _make_file_system(tree: Path, file: Path, size: str) -> None:
    """Make a file that is a disk with what is in a folder."""
    file.unlink(missing_ok=True)
    command = ["mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-d", str(tree), str(file), size]
    images.succeed(command, MAKE_TIMEOUT_S)
