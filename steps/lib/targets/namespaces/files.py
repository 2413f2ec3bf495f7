"""Small files that must be whole after a crash."""

import os
from pathlib import Path


def write_durably(file: Path, text: str) -> None:
    """Replace a file at once: a reader sees the old or the new text, also after a power cut."""
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_suffix(".tmp")
    with fresh.open("w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    fresh.replace(file)
    _sync_directory(file.parent)


def delete_durably(file: Path) -> None:
    """Remove a file, so that it stays removed; absent is fine."""
    if file.exists():
        file.unlink()
        _sync_directory(file.parent)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
