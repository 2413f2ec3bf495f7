"""What a block remembers on its target from stage to stage, and what a restart finds there."""

from collections.abc import Mapping
from datetime import datetime

from steps.lib.models import Model
from steps.lib.setting import Setting


class JournalEntry(Model):
    """One setting that was changed, written before the change.

    ``kind``, ``place`` and ``name`` are its ``Setting``, ``asked`` is the profile's entry.
    ``after`` stays None until the new value was read back: a crash in between is visible.
    ``boot_id`` is the node's: a later boot has none of it any more.
    """

    node: str
    boot_id: str
    asked: str
    kind: str
    place: str
    name: str
    before: str
    intended: str
    after: str | None = None

    @property
    def setting(self) -> Setting:
        """What was changed."""
        return Setting(self.kind, self.place, self.name)


class Failure(Model):
    """A stage that failed, and why."""

    stage: str
    message: str


class BlockState(Model):
    """The block on the target. Saved before and after each change of the target."""

    campaign: str
    block: str
    plugin: str
    profile: str
    repeat: int
    store: str
    install_id: str
    boot_id: str
    started_at: datetime
    plugin_version: str | None = None
    plugin_fingerprint: str | None = None
    environment_fingerprint: str
    inventory_before: Mapping[str, Mapping[str, tuple[str, ...]]]
    journal: tuple[JournalEntry, ...] = ()
    tuned: tuple[JournalEntry, ...] = ()
    lacking: Mapping[str, tuple[str, ...]] = {}
    settings: Mapping[str, Mapping[str, str]] = {}
    offloads: Mapping[str, int] | None = None
    baseline_tracked: bool | None = None
    install_s: float | None = None
    ready_s: float | None = None
    tune_s: float | None = None
    restore_s: float | None = None
    remove_s: float | None = None
    idle_busy_cpus: float | None = None
    plugin_memory_bytes: int | None = None
    residue: tuple[str, ...] | None = None
    failures: tuple[Failure, ...] = ()

    @property
    def mtu_bytes(self) -> int | None:
        """MTU that the block gave the underlay; None if it left it as it was."""
        return next((int(e.intended) for e in self.tuned if e.kind == "mtu"), None)
