"""Switching kube-proxy off and on, for plugins that do its work themselves."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import psutil

from lab import images, node
from lab.groups import Groups
from lab.layout import Host, Lab, cluster_of
from steps.lib.errors import InputError, TransientError
from steps.lib.targets.namespaces.programs import output

PROGRAM = "kube-proxy"
SWITCH = f"etc/kubernetes/{PROGRAM}.off"
"""In the node's root file system; data/node-run.sh looks for it. It outlives the node's death."""

TIMEOUT_S = 20.0
POLL_S = 0.1


def switch_off(lab: Lab, host: Host) -> None:
    """End a node's kube-proxy, and remove all that it made in the node's network.

    Raises:
        InputError: the node does not run.
        TransientError: it does not end.
    """
    init = _init(lab, host)
    (_root(init) / SWITCH).touch()
    _wait(lab, host, running=False)
    output([*images.IN_NODE, str(init), "--net", "--", f"/usr/local/bin/{PROGRAM}", "--cleanup"])


def switch_on(lab: Lab, host: Host, mode: str | None = None) -> None:
    """Have a node's kube-proxy run again, in another mode if one is named.

    Raises:
        InputError: the node does not run.
        TransientError: it does not start.
    """
    root = _root(_init(lab, host))
    if mode:
        switch_off(lab, host)  # It leaves the rules of the mode that it ran in.
        (root / node.KUBE_PROXY_MODE_FILE).write_text(mode)
        node.configure_kube_proxy(lab, *cluster_of(host.name), root)
    (root / SWITCH).unlink(missing_ok=True)
    _wait(lab, host, running=True)


def _wait(lab: Lab, host: Host, *, running: bool) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while bool(pids := _pids(lab, host)) != running:
        # In each round: the node may have begun to start one before it saw the switch.
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        if time.monotonic() > deadline:
            raise TransientError(f"{host.name}: {PROGRAM} does not {'start' if running else 'end'}")
        time.sleep(POLL_S)


def _pids(lab: Lab, host: Host) -> list[int]:
    """The program's processes, pods' ones of that name too: nothing else is called so."""
    found = Groups(lab.group).processes(host.name)
    named = psutil.process_iter(["name"])
    return [p.pid for p in named if p.pid in found and p.info["name"] == PROGRAM]


def _init(lab: Lab, host: Host) -> int:
    pid = node.init_pid(lab, host)
    if pid is None:
        raise InputError(f"node {host.name} does not run: bring it up by `python -m lab up`")
    return pid


def _root(init: int) -> Path:
    return Path(f"/proc/{init}/root")
