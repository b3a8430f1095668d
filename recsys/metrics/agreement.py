"""How far two rankings of the same context agree. Plain functions on lists of item ids."""

from __future__ import annotations

from collections.abc import Sequence


def overlap(one: Sequence[str], other: Sequence[str]) -> float:
    """Share of the longer list's items that are in both, 0 to 1; 1 for two empty lists."""
    longest = max(len(one), len(other))
    return len(set(one) & set(other)) / longest if longest else 1.0


def rank_correlation(one: Sequence[str], other: Sequence[str]) -> float | None:
    """Kendall's tau over the items in both lists, -1 to 1; None where fewer than two are."""
    places = {item: place for place, item in enumerate(other)}
    both = [places[item] for item in one if item in places]
    if len(both) < 2:
        return None
    from scipy import stats  # half a second and 40 MB, which only a shadow needs

    return float(stats.kendalltau(range(len(both)), both).statistic)
