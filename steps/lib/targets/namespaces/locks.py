"""One campaign at a time on this machine, whatever its target's name: they would share its CPUs."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from steps.lib.errors import OwnershipError
from steps.lib.targets.namespaces.layout import RUN

MACHINE_LOCK = RUN / "machine.lock"
"""Never deleted: a file that is locked while another takes its name would be two locks."""


@contextmanager
def machine(target: str) -> Iterator[None]:
    """Hold the machine; the kernel lets go of it when this process ends, however it ends.

    Raises:
        OwnershipError: another process holds it.
    """
    RUN.mkdir(parents=True, exist_ok=True)
    lock = os.open(MACHINE_LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(lock, 200, 0).decode("utf-8", "replace").strip()
            raise OwnershipError(
                f"this machine is measuring already ({holder}); wait for it or end that process"
            ) from error
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"pid {os.getpid()}, target {target}\n".encode(), 0)
        yield
    finally:
        os.close(lock)
