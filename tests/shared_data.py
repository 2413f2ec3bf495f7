"""Published data beside the checkout, which is no part of the project: it has no licence."""

import csv
import os
from functools import cache
from pathlib import Path

import pytest

NAME = "infrabuilder-2024.csv"


@cache
def find() -> Path | None:
    """The file: in ``CNIBENCH_SHARED_DATA``, or in ``shared/data`` beside a parent folder."""
    stated = os.environ.get("CNIBENCH_SHARED_DATA")
    folders = [Path(stated)] if stated else [p / "shared/data" for p in Path(__file__).parents]
    return next((f / NAME for f in folders if (f / NAME).is_file()), None)


def infrabuilder() -> list[dict[str, str]]:
    """Its rows; the test is skipped, and says so, where the file is absent."""
    path = find()
    if path is None:
        pytest.skip(f"{NAME} is in no shared/data beside the checkout nor in CNIBENCH_SHARED_DATA")
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
