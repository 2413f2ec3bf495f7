"""Progress of a campaign on the terminal: what runs now, what is done, how much time is left."""

import time
from collections import Counter
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from steps.lib.estimate import BLOCK_OVERHEAD_S, cell_time_s
from steps.lib.executor import Event, Start

LINE_EVERY_S = 30.0
"""Where there is no terminal to redraw, a line this often shows that it is alive."""


class CampaignProgress:
    """Shows events of the executor; weighs cells by their seconds, so that time left is true."""

    def __init__(self, console: Console) -> None:
        """Draw on ``console``, or print lines where it is no terminal."""
        self._console = console
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            speed_estimate_period=600,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("starting", total=None)
        self._statuses: Counter[str] = Counter()
        self._last_line_s = 0.0

    def __enter__(self) -> Self:
        """Begin to draw."""
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End drawing; the last state stays on the screen."""
        self._bar.stop()

    def __call__(self, event: Event | Start) -> None:
        """Take one event."""
        if isinstance(event, Start):
            self._bar.update(self._task, total=event.expected_s, completed=0)
            self._console.print(
                f"{event.cells} cells in {event.blocks} blocks, about "
                f"{event.expected_s / 60:.0f} min",
                highlight=False,
            )
            return
        name = f"{event.block.id} {event.cell or event.stage}"
        if event.status is None:
            self._bar.update(self._task, description=name)
            return
        self._bar.advance(self._task, _weight_s(event))
        if event.cell:
            self._statuses[event.status.split(":")[0]] += 1
        if event.status.startswith("failed") or event.status in ("invalid", "noisy"):
            self._console.print(f"{name}: {event.status}", highlight=False)
        self._line(name)

    def _line(self, name: str) -> None:
        now = time.monotonic()
        if self._bar.disable and now - self._last_line_s > LINE_EVERY_S:
            self._last_line_s = now
            task = self._bar.tasks[self._task]
            counts = ", ".join(f"{n} {status}" for status, n in self._statuses.items()) or "0 cells"
            self._console.print(f"{task.percentage:.0f} % {name} ({counts})", highlight=False)


def _weight_s(event: Event) -> float:
    if event.cell:
        return cell_time_s(event.block.cell(event.cell).cell.traffic)
    return BLOCK_OVERHEAD_S if event.stage == "collect" else 0.0
