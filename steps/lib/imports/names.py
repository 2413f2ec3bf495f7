"""Of what an imported run is: what a person, the names of files and the words themselves say."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from pydantic import Field, field_validator

from steps.lib.errors import InputError
from steps.lib.imports.runs import Found, ImportedRun
from steps.lib.models import Model
from steps.lib.store.keys import is_safe

GROUPS = ("plugin", "repeat", "cell", "path")


class Names(Model):
    """A file of names, or the options that stand for one."""

    pattern: str | None = Field(
        default=None,
        description="Regular expression, searched in each file's path below the folder; its groups "
        "`plugin`, `repeat`, `cell` and `path` are the names. Other files are not read",
    )
    plugin: str | None = Field(default=None, description="Plugin of all runs")
    path: str | None = Field(default=None, description="Who talks to whom, in all runs")
    cell: str | None = Field(default=None, description="Cell of all runs")
    paths: Mapping[str, str] = Field(
        default={}, description="Path by what the pattern's group `path`, else `cell`, found"
    )
    baseline: str | None = Field(default=None, description="Plugin that is the baseline")

    @field_validator("pattern")
    @classmethod
    def _is_expression(cls, pattern: str | None) -> str | None:
        try:
            unknown = set(re.compile(pattern or "").groupindex) - set(GROUPS)
        except re.error as error:
            raise ValueError(f"is no regular expression: {error}") from error
        if unknown:
            raise ValueError(f"has a group {sorted(unknown)[0]!r}; groups are {', '.join(GROUPS)}")
        return pattern

    def of_file(self, relative: str) -> Mapping[str, str] | None:
        """What a file's name says; None if it is no result."""
        if self.pattern is None:
            return {}
        found = re.search(self.pattern, relative)
        if found is None:
            return None
        return {name: text for name, text in found.groupdict().items() if text is not None}


def named(found: Sequence[tuple[Mapping[str, str], Found]], names: Names) -> list[ImportedRun]:
    """Every run with its names; runs of one cell that have no number are numbered as they stand.

    Runs that two names make one are one run without a number.

    Raises:
        InputError: nothing says of which plugin a run is, or a name cannot be one.
    """
    numbers: Counter[tuple[str, str]] = Counter()
    runs: dict[tuple[str, int, str], ImportedRun] = {}
    for of_file, one in found:
        run = _named(of_file, one, names, numbers)
        key = (run.plugin, run.repeat, run.cell)
        if key in runs:
            reason = f"plugin, run and cell {', '.join(map(str, key))} are those of another one too"
            run = replace(runs[key], status="invalid", reason=reason, metrics={})
        runs[key] = run
    return list(runs.values())


def _named(
    of_file: Mapping[str, str], one: Found, names: Names, numbers: Counter[tuple[str, str]]
) -> ImportedRun:
    plugin = names.plugin or of_file.get("plugin")
    if plugin is None:
        raise InputError(
            f"{one.where}: of which plugin are these runs? Write --plugin NAME, or a file of names "
            "(--names) with a pattern whose group `plugin` finds it in the names of files"
        )
    said = of_file.get("path") or of_file.get("cell") or ""
    path = names.path or names.paths.get(said) or one.names.get("path")
    path = path or of_file.get("path") or "unknown"
    cell = names.cell or of_file.get("cell") or _cell(path, one)
    number = of_file.get("repeat")
    for what, name in (("plugin", plugin), ("cell", cell), ("path", path)):
        if not is_safe(name):
            raise InputError(f"{one.where}: {what} {name!r}: use letters, digits, `.`, `_` and `-`")
    if number is not None and not re.fullmatch("[0-9]{1,6}", number):
        raise InputError(f"{one.where}: the pattern's group `repeat` found {number!r}, no number")
    numbers[plugin, cell] += 1
    repeat = int(number) if number else numbers[plugin, cell]
    asked = {**one.asked, "path": path}
    parts = vars(one) | {"asked": asked}
    return ImportedRun(**parts, plugin=plugin, repeat=repeat, cell=cell)


def _cell(path: str, one: Found) -> str:
    streams = one.asked.get("streams")
    traffic = one.asked.get("traffic", "unreadable")
    many = f"-{streams}" if streams and streams > 1 else ""
    back = "-reverse" if one.asked.get("direction") == "reverse" else ""
    return f"{path}.{traffic}{many}{back}"
