"""The table of a second fit of MovieLens-1M's experts: the shipped head against what the first fit was not held to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.units.claims import BLEND_OF_ALL, FINE_TUNED, SHARED, fed_others, head
from benchmarks.units.table import difference

WORKSPACE = "ml-1m"
SPLITS = ("validation", "test")
MEASURES = (("ndcg@10", "NDCG@10", 4), ("log_loss", "log-loss", 3))


def second(result: Callable[[str, str, str, Path], dict[str, Any] | None], folder: Path) -> list[str]:
    """A line for each split and measure.

    Args:
        result: figures of a workspace, split and unit in a folder.
        folder: of the second fit's results.
    """
    titles = ("head", "the blend", "a blend of all targets", "a stored head a user, fine-tuned", "others' contexts")
    lines = ["| split | measure | " + " | ".join(titles) + " |", "| --- | --- |" + " ---: |" * len(titles)]
    for split in SPLITS:
        summary, heads = (result(WORKSPACE, split, unit, folder) for unit in ("summary", "heads"))
        if summary is None or heads is None:
            continue
        own = head(heads["config"]["head"]["kind"])
        means = {row["name"]: row["metrics"] for row in summary["scorers"]}
        compared = {(one["a"], one["b"], one["metric"]): one for one in summary["heads"]}
        for metric, name, digits in MEASURES:
            rivals = (SHARED, BLEND_OF_ALL, FINE_TUNED, fed_others(own))
            cells = [difference(compared.get((own, rival, metric)), digits) for rival in rivals]
            lines.append(f"| {split} | {name} | {means[own][metric]:.{digits}f} | {' | '.join(cells)} |")
    return lines
