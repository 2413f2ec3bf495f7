"""The table of features: what plugins claim, where it is claimed, and what was seen of it."""

from collections.abc import Iterable, Iterator

from rich import box
from rich.table import Table
from rich.text import Text

from cnibench.show import Format, out, rows
from steps.lib.models import Feature, Features, Plugin

COLUMNS = tuple(Features.model_fields)
LINE = ("plugin", "feature", "claimed", "source", "verified")


def features(plugins: Iterable[Plugin], form: Format) -> None:
    """Show it: as a table one row for each plugin, else a line for each feature of each plugin."""
    if form is Format.table:
        _table(plugins)
    else:
        rows(LINE, _lines(plugins), form)


def _lines(plugins: Iterable[Plugin]) -> Iterator[tuple[str, str, str, str, str]]:
    for plugin in plugins:
        for name, feature in _features(plugin):
            if feature is not None:
                verified = feature.verified or ""
                yield plugin.name, name, _claimed(feature), feature.source, verified


def _table(plugins: Iterable[Plugin]) -> None:
    """Sources and evidence are long and often the same: they stand once, below, by number."""
    table = Table(
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        show_edge=False,
        pad_edge=False,
        row_styles=["", "dim"],
    )
    table.add_column("plugin", no_wrap=True)
    for name in COLUMNS:
        table.add_column(name.replace("_", " "), overflow="fold")
    notes: dict[str, int] = {}
    for plugin in plugins:
        table.add_row(plugin.name, *(_cell(feature, notes) for _, feature in _features(plugin)))
    out.print(table)
    below = ["claimed [where], ✓ [how cnibench saw it]. What stands nowhere is not claimed."]
    below += [f"[{number}] {note}" for note, number in notes.items()]
    out.print("\n".join(below), highlight=False, markup=False, soft_wrap=True)


def _features(plugin: Plugin) -> list[tuple[str, Feature | None]]:
    return [(name, getattr(plugin.features, name)) for name in COLUMNS]


def _cell(feature: Feature | None, notes: dict[str, int]) -> Text:
    if feature is None:
        return Text()
    cell = Text(f"{_claimed(feature)} [{_number(feature.source, notes)}]")
    if feature.verified:
        cell.append(f" ✓ [{_number(feature.verified, notes)}]", style="green")
    return cell


def _number(note: str, notes: dict[str, int]) -> int:
    return notes.setdefault(note, len(notes) + 1)


def _claimed(feature: Feature) -> str:
    return feature.claimed if isinstance(feature.claimed, str) else ", ".join(feature.claimed)
