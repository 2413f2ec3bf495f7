"""How every benchmark reports: a figure, its aim, their ratio, and one JSON object per run."""

import argparse
import json
import platform
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path


@dataclass(frozen=True)
class Figure:
    """One measured figure. ``ratio`` below 1 is better than the aim."""

    name: str
    value: float
    unit: str
    aim: float

    @property
    def ratio(self) -> float:
        """Figure divided by its aim."""
        return self.value / self.aim


def options(description: str) -> argparse.ArgumentParser:
    """The options that all benchmarks have."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", type=Path, help="append one JSON object to this file")
    return parser


def finish(benchmark: str, figures: list[Figure], path: Path | None) -> None:
    """Print the figures and keep them."""
    for figure in figures:
        sys.stdout.write(
            f"{benchmark}: {figure.name}: {figure.value:.3f} {figure.unit}, aim {figure.aim:g}, "
            f"ratio {figure.ratio:.2f}\n"
        )
    if path:
        record = {
            "benchmark": benchmark,
            "at": datetime.now(UTC).isoformat(),
            "machine": f"{platform.machine()} {platform.release()}",
            "figures": [asdict(f) | {"ratio": f.ratio} for f in figures],
        }
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
