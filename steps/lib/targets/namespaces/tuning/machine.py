"""Settings of the whole machine: files below ``/sys``, services, the kernel's command line."""

import re
from dataclasses import dataclass
from pathlib import Path

from steps.lib.errors import RefusedError
from steps.lib.setting import Found, LackingError, Setting, Wanted
from steps.lib.targets.namespaces import programs
from steps.lib.targets.namespaces.tuning.access import UNREADABLE, Access, text

RUNNING, STOPPED = "running", "stopped"

PROCESSES = {"packagekit": "packagekitd"}
"""Names of services' processes, where they are not the services' own."""

_CPU = "devices/system/cpu"
_ENTERING = ("nsenter", "--target", "1", "--mount", "--pid", "--root", "--wd", "--")
_SERVICE_NAME_MAX = 15
"""Bytes of a process's name that the kernel keeps."""


@dataclass(frozen=True)
class Files:
    """Files that one entry is about: each is a setting of its own.

    Attributes:
        pattern: Below ``/sys``; ``{name}`` is the entry's.
        lacking: What a node says that has none.
        choices: File beside each that lists the values there are.
        fixed: Values that say that the machine does not have it.
    """

    pattern: str
    lacking: str
    choices: str | None = None
    fixed: tuple[str, ...] = ()


FILES = {
    "cpu_governor": Files(
        f"{_CPU}/cpufreq/policy*/scaling_governor",
        "its processors have no frequency scaling (cpufreq)",
        choices="scaling_available_governors",
    ),
    "cpu_latency": Files(
        f"{_CPU}/cpu[0-9]*/power/pm_qos_resume_latency_us",
        "its processors have no limit of wake-up time (PM QoS)",
    ),
    "cpu_idle_state": Files(
        f"{_CPU}/cpu[0-9]*/cpuidle/{{name}}/disable",
        "its processors have no such idle state (cpuidle)",
    ),
    "smt": Files(
        f"{_CPU}/smt/control",
        "its kernel cannot switch SMT",
        fixed=("notsupported", "notimplemented", "forceoff"),
    ),
    "sysfs": Files("{name}", "there is no such file below /sys"),
}


def find_files(access: Access, wanted: Wanted) -> list[Found]:
    """Every file that the entry is about, each with its value."""
    files = FILES[wanted.kind]
    with access.sys() as root:
        paths = sorted(root.glob(files.pattern.format(name=wanted.name)))
        paths = [path for path in paths if not _is_virtual_disk(path.relative_to(root), root)]
        # Of processors that are offline some files are there, and cannot be read.
        told = [p for p in paths if not (_value(p) or UNREADABLE).startswith(UNREADABLE)]
        found = [_found(root, path, wanted, files) for path in told or paths]
    if not found:
        raise LackingError(files.lacking)
    return found


def _is_virtual_disk(path: Path, root: Path) -> bool:
    """Those come and go, as loops of packages do, and keep nothing of their own."""
    kind, name, *_ = path.parts
    return kind == "block" and not (root / kind / name / "device").exists()


def read_file(access: Access, setting: Setting) -> str | None:
    """The value; of a list of choices the one in brackets."""
    with access.sys() as root:
        return _value(root / setting.name)


def write_file(access: Access, setting: Setting, value: str) -> None:
    """Set it."""
    with access.sys() as root:
        try:
            (root / setting.name).write_text(value)
        except OSError as error:
            raise RefusedError(f"{setting} cannot be set to {value!r}: {error.strerror}") from error


def find_service(access: Access, wanted: Wanted) -> list[Found]:
    """A service that must not run; without a manager, none that runs can be stopped."""
    setting = Setting(wanted.kind, "node", wanted.name)
    present = _unit(wanted.name)
    if present is None:
        raise LackingError(f"the node has no service {wanted.name}")
    if present != STOPPED and (why := _manager("show", wanted.name)[1]):
        raise LackingError(f"{wanted.name} runs and nothing can stop it: {why}")
    return [Found(setting, present, STOPPED)]


def read_service(access: Access, setting: Setting) -> str | None:
    """Whether it runs."""
    return _unit(setting.name)


def _unit(name: str) -> str | None:
    """What the node's service manager says of a service, None if it does not know it.

    A process of this name decides only where there is no manager: it may be a container's.
    """
    said, why = _manager("show", "--property=LoadState,ActiveState", name)
    if why is not None:
        return RUNNING if _is_running(name) else STOPPED
    states = dict(line.split("=", 1) for line in said.splitlines() if "=" in line)
    if states.get("LoadState") not in ("loaded", "masked"):
        return None
    return STOPPED if states.get("ActiveState") in ("inactive", "failed") else RUNNING


def _is_running(service: str) -> bool:
    name = PROCESSES.get(service, service)[:_SERVICE_NAME_MAX]
    return any(_command(p) == name for p in Path("/proc").iterdir())


def write_service(access: Access, setting: Setting, value: str) -> None:
    """Start or stop it, as the node's own service manager does."""
    why = _manager("stop" if value == STOPPED else "start", setting.name)[1]
    if why:
        raise RefusedError(f"{setting} cannot be {value}: {why}")


def find_command_line(access: Access, wanted: Wanted) -> list[Found]:
    """A word of the kernel's command line: it is there since the node's start, or it is lacking."""
    word = f"{wanted.name}={wanted.value}"
    if word not in Path("/proc/cmdline").read_text().split():
        raise LackingError(f"the node was not started with `{word}`; that needs a reboot")
    return [Found(Setting(wanted.kind, "node", wanted.name), wanted.value, wanted.value)]


def read_command_line(access: Access, setting: Setting) -> str | None:
    """Its value, None where it is not there."""
    words = Path("/proc/cmdline").read_text().split()
    values = [word.partition("=")[2] for word in words if word.startswith(f"{setting.name}=")]
    return values[-1] if values else None


def write_command_line(access: Access, setting: Setting, value: str) -> None:
    """Never: it would need a reboot."""
    raise RefusedError(f"{setting} cannot be set to {value!r} without a reboot")


def _found(root: Path, path: Path, wanted: Wanted, files: Files) -> Found:
    name = str(path.relative_to(root))
    present = _value(path)
    if present is None or present.startswith(UNREADABLE):
        raise LackingError(f"/sys/{name} cannot be read")
    if present in files.fixed:
        raise LackingError(f"{files.lacking}: /sys/{name} says {present!r}")
    choices = _choices(path, files)
    if choices and wanted.value not in choices:
        raise RefusedError(
            f"{wanted.kind} {wanted.value!r} is not offered by /sys/{name}; there are: "
            f"{', '.join(choices)}"
        )
    return Found(Setting(wanted.kind, "node", name), present, wanted.value)


def _choices(path: Path, files: Files) -> list[str]:
    """Values that can be chosen, where the kernel lists them."""
    if files.choices:
        return path.with_name(files.choices).read_text().split()
    text = path.read_text()
    return re.sub(r"[\[\]]", "", text).split() if "[" in text else []


def _value(path: Path) -> str | None:
    said = text(path)
    if said is None or said.startswith(UNREADABLE):
        return said
    chosen = re.search(r"\[(\S+)\]", said)
    return chosen[1] if chosen else " ".join(said.split())


def _command(process: Path) -> str | None:
    """Name of a process; None for what is none, or has ended."""
    try:
        return (process / "comm").read_text().strip() if process.name.isdigit() else None
    except OSError:
        return None


def _manager(verb: str, *arguments: str) -> tuple[str, str | None]:
    """Ask the node's own service manager: what it says, and the reason if that fails."""
    result = programs.run((*_ENTERING, "systemctl", verb, *arguments))
    said = result.stderr.decode("utf-8", "replace").strip().replace("\n", "; ")
    why = (said or f"ended with {result.exit_code}") if result.exit_code else None
    return result.stdout.decode("utf-8", "replace"), why
