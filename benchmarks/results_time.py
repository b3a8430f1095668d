"""Tables of docs/results.md that have to do with time: a split by moments, quality by seconds, one whole training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.units.files import read_json
from benchmarks.units.table import or_dash

Read = Callable[[str, str, str], dict[str, Any] | None]
"""(workspace, split, unit) → its figures; None where it has not run."""


def temporal(read: Read, titles: Mapping[str, str]) -> list[str]:
    """Every scorer of the protocol `temporal` on the test split."""
    lines = ["| data | scorer | NDCG@10 | HR@10 | users |", "| --- | --- | ---: | ---: | ---: |"]
    for workspace, title in titles.items():
        rows = (read(workspace, "test", "summary") or {}).get("temporal", ())
        lines += [
            f"| {title} | {row['name']} | {row['metrics']['ndcg@10']:.4f} | {row['metrics']['hr@10']:.4f} | "
            f"{row['users']} |"
            for row in rows
        ]
    return lines


def budget(read: Read, titles: Mapping[str, str]) -> list[str]:
    """Quality on validation by seconds of training."""
    lines = [
        "| data | scorer | budget, s | epochs | seconds | NDCG@10 | HR@10 |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for workspace, title in titles.items():
        points = (read(workspace, "validation", "budget") or {}).get("points", ())
        lines += [
            f"| {title} | {point['scorer']} | {or_dash(point['budget'], 'g')} | {or_dash(point['epochs'], 'd')} | "
            f"{point['seconds']:.0f} | {point['ndcg@10']:.4f} | {point['hr@10']:.4f} |"
            for point in points
        ]
    return lines


def training(folder: Path, titles: Mapping[str, str]) -> list[str]:
    """Seconds and memory of whole runs of `recsys train`."""
    lines = [
        "| data | minutes | memory, GB | processes | NDCG@10, validation | HR@10, validation |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for workspace, title in titles.items():
        found = read_json(folder / f"training-{workspace}.json")
        if found is not None:
            metrics = found["result"]["metrics"]["validation"]
            lines.append(
                f"| {title} | {found['seconds'] / 60:.1f} | {found['peak_gigabytes']:.1f} | "
                f"{found['processes_at_peak']} | {metrics['ndcg@10']:.4f} | {metrics['hr@10']:.4f} |"
            )
    return lines
