"""Reading a file or a folder of results, each file by the form that its content shows."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from steps.lib.documents import suggest
from steps.lib.errors import InputError
from steps.lib.imports import (
    csv_infrabuilder,
    iperf3_json,
    iperf3_text,
    k8s_netperf,
    netperf_words,
    perfdash,
)
from steps.lib.imports.names import Names, named
from steps.lib.imports.runs import Found, Imported, damaged

Reader = Callable[[str], list[Found]]

FORMS: Mapping[str, tuple[Callable[[str], bool], Reader]] = {
    "k8s-netperf": (k8s_netperf.fits, k8s_netperf.read),
    "perfdash": (perfdash.fits, perfdash.read),
    "iperf3-json": (iperf3_json.fits, iperf3_json.read),
    "iperf3-text": (iperf3_text.fits, iperf3_text.read),
    "netperf": (netperf_words.fits, netperf_words.read),
}
"""By name: whether a text is of the form, and its reader; the first that fits reads it."""


def read_results(path: Path, names: Names, form: str | None = None) -> Imported:
    """Every run of a file or folder.

    A file that is named as a result and is none is a run without numbers; others are left out.

    Raises:
        InputError: nothing is a result, a name is missing, or ``form`` is not known.
    """
    if form not in (None, csv_infrabuilder.FORM, *FORMS):
        raise InputError(
            f"--format {form!r}: {suggest(form or '', (*FORMS, csv_infrabuilder.FORM))}"
        )
    if path.is_file() and _is_table(path, form):
        return csv_infrabuilder.read_csv(path)
    found: list[tuple[Mapping[str, str], Found]] = []
    left_out: list[str] = []
    forms, digest = set(), hashlib.sha256()
    for relative, file in _files(path):
        of_file = names.of_file(relative) if path.is_dir() or names.pattern else {}
        if of_file is None:
            continue
        content = file.read_bytes()
        digest.update(f"{relative} {hashlib.sha256(content).hexdigest()}\n".encode())
        used, runs = _read(content, form)
        if used is None and path.is_dir() and names.pattern is None:
            left_out.append(f"{relative}: {runs[0].reason}")
            continue
        forms.add(used or "unknown")
        found += [
            (of_file, _placed(run, relative, path)) for run in _once(runs, relative, left_out)
        ]
    if not found:
        raise InputError(f"{path}: {_nothing(left_out, names)}")
    return Imported(
        "+".join(sorted(forms)),
        path.resolve().name,
        digest.hexdigest(),
        names.baseline,
        tuple(named(found, names)),
        tuple(left_out),
    )


def _is_table(path: Path, form: str | None) -> bool:
    with path.open("rb") as file:
        head = file.read(64).decode("utf-8", "replace")
    return form == csv_infrabuilder.FORM or (form is None and csv_infrabuilder.fits(head))


def _files(path: Path) -> list[tuple[str, Path]]:
    if not path.is_dir():
        return [(path.name, path)]
    files = (file for file in path.rglob("*") if file.is_file())
    return sorted((file.relative_to(path).as_posix(), file) for file in files)


def _read(content: bytes, form: str | None) -> tuple[str | None, list[Found]]:
    """The form, None if it is none, and the runs."""
    if not content.strip():
        return None, [damaged("line 1", content, "the file is empty", "failed")]
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        return form, [damaged("line 1", content, f"is not text: {error.reason} at {error.start}")]
    used = form or next((name for name, (fits, _) in FORMS.items() if fits(text)), None)
    if used is None:
        return None, [damaged("line 1", content, f"is of no known form: {', '.join(FORMS)}")]
    runs = FORMS[used][1](text)
    return used, runs or [damaged("line 1", content, f"has no run of the form {used}")]


def _once(runs: Sequence[Found], relative: str, left_out: list[str]) -> list[Found]:
    """Runs whose words stand once: a log that was stored twice has no second run."""
    seen: dict[bytes, str] = {}
    kept = []
    for run in runs:
        if run.raw in seen and run.status == "ok":
            left_out.append(f"{relative}, {run.where}: the same words as {seen[run.raw]}")
        else:
            kept.append(run)
        seen.setdefault(run.raw, run.where)
    return kept


def _placed(run: Found, relative: str, path: Path) -> Found:
    return replace(run, where=f"{relative}, {run.where}") if path.is_dir() else run


def _nothing(left_out: Sequence[str], names: Names) -> str:
    if left_out:
        return f"holds no result; {left_out[0]}"
    if names.pattern:
        return f"no file has a name that the pattern {names.pattern!r} finds"
    return "holds no file"
