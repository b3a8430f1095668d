"""What every program of `benchmarks/` that stamps its figures is told, and notes before it begins."""

from __future__ import annotations

import argparse
import os
from pathlib import Path


def parsed(parser: argparse.ArgumentParser, results: Path) -> argparse.Namespace:
    """The arguments, with `out`, where the result goes, and `load`, the machine's before anything was measured.

    Args:
        parser: of the program's own arguments.
        results: the committed file, where nothing else is said.
    """
    parser.add_argument("--out", type=Path, default=results)
    asked = parser.parse_args()
    asked.load = round(os.getloadavg()[0], 2)
    return asked


def numbers(text: str) -> tuple[int, ...]:
    """Whole numbers as they are typed, with commas between."""
    return tuple(map(int, text.split(",")))
