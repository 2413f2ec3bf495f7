"""Committed files that code makes: write them, or show how they differ from what it would write."""

import argparse
import difflib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path


def write(files: Mapping[str, str], folder: Path) -> None:
    """Make the folder hold exactly these files."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in _present(folder):
        if path.name not in files:
            path.unlink()
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")


def drift(files: Mapping[str, str], folder: Path) -> str:
    """How the folder differs from these files, as a unified diff; empty if it does not."""
    found = {path.name: path.read_text(encoding="utf-8") for path in _present(folder)}
    return "".join(
        line
        for name in sorted(found.keys() | files.keys())
        for line in difflib.unified_diff(
            found.get(name, "").splitlines(keepends=True),
            files.get(name, "").splitlines(keepends=True),
            f"{folder.name}/{name} as it is",
            f"{folder.name}/{name} as the code says",
        )
    )


def main(
    files: Mapping[str, str], folder: Path, command: str, arguments: Sequence[str] | None
) -> int:
    """The command line of a generator: write its files, or with ``--check`` compare them.

    Returns:
        The exit status: 1 where ``--check`` found a difference.
    """
    parser = argparse.ArgumentParser(prog=command)
    parser.add_argument("--check", action="store_true", help="write nothing, show differences")
    if not parser.parse_args(arguments).check:
        write(files, folder)
        return 0
    difference = drift(files, folder)
    if difference:
        sys.stderr.write(f"{difference}{folder} is not up to date; run: {command}\n")
    return 1 if difference else 0


def _present(folder: Path) -> list[Path]:
    return sorted(p for p in folder.glob("*") if p.suffix in (".yaml", ".json"))
