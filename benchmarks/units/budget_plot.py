"""The picture of quality against training time. Is given points, and knows nothing of how they were measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from recsys.evaluation.full_ranking import EXPERT_PREFIX, MODEL
from recsys.evaluation.plots import saved_figure, scorer_colour

BODY_ALONE, MEMORY_ALONE = "body alone", "memory alone"
_MEMORY = "#4F8A5B"
_SUBDIVISIONS = (1.0, 2.0, 5.0)


def draw_budget(points: Sequence[Mapping[str, Any]], path: Path, title: str) -> None:
    """Draws NDCG@10 by seconds: a curve of the models, one of their bodies alone, a point for the memory alone.

    Args:
        points: one a scorer and budget: scorer, budget (None for the memory), epochs, seconds, ndcg@10.
        path: of the PNG file.
        title: of the picture.
    """
    from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

    with saved_figure(path) as figure:
        figure.set_size_inches(7.5, 4.4)
        axes = figure.subplots()
        for scorer, label, colour, mark, above in (
            (MODEL, "model, whole run", scorer_colour(MODEL), "o-", True),
            (BODY_ALONE, f"{BODY_ALONE}, its own seconds", scorer_colour(f"{EXPERT_PREFIX}body"), "s--", False),
            (MEMORY_ALONE, MEMORY_ALONE, _MEMORY, "D", True),
        ):
            own = sorted((point for point in points if point["scorer"] == scorer), key=lambda point: point["seconds"])
            if own:
                values = [point["ndcg@10"] for point in own]
                axes.plot([point["seconds"] for point in own], values, mark, markersize=6, color=colour, label=label)
            for point in own:
                axes.annotate(
                    _told(point),
                    (point["seconds"], point["ndcg@10"]),
                    xytext=(0, 9) if above else (8, -4),
                    textcoords="offset points",
                    ha="center" if above else "left",
                    va="bottom" if above else "top",
                    fontsize=8,
                    color=colour,
                )
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=_SUBDIVISIONS))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.margins(x=0.1, y=0.18)
        axes.set(xlabel="seconds of training", ylabel="NDCG@10 on validation")
        axes.grid()
        axes.set_title(title, pad=26)
        axes.legend(loc="lower left", bbox_to_anchor=(0, 0.99), ncols=3, borderaxespad=0.2, handletextpad=0.3)


def _told(point: Mapping[str, Any]) -> str:
    if point["budget"] is None:
        return f"{point['seconds']:.1f} s"
    if point["scorer"] == MODEL:
        return f"budget {point['budget']:g} s"
    return f"{point['epochs']} epoch{'' if point['epochs'] == 1 else 's'}"
