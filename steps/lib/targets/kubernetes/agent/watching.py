"""Looking at the frames on the node's uplink while a cell runs, told when it has ended."""

from dataclasses import asdict
from typing import Any

from steps.lib.errors import RefusedError
from steps.lib.targets.wire import Between, Watch

_watch: Watch | None = None


def start_watching(device: str, between: dict[str, str]) -> None:
    """Begin; what an earlier call began, ends."""
    global _watch
    if _watch is not None:
        _watch.stop()
    _watch = Watch(device, Between(**between))
    _watch.start()


def stop_watching() -> dict[str, Any]:
    """End; what was seen (``wire.Seen``). Asked again, it says the same."""
    if _watch is None:
        raise RefusedError("the uplink was not watched: the node's agent was started anew")
    return asdict(_watch.stop())
