"""From a scorer to an arm, under the workspace's own protocol: leave-one-out, or next basket."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks.units.arms import Arm
from benchmarks.units.bench import Bench
from benchmarks.units.unit import UnitRun
from recsys.context.sequences import ragged_ranges
from recsys.evaluation.cases import HISTORY_LENGTH, Cases, Scorer, fit_scale, score_cases
from recsys.evaluation.next_basket import BasketCases, basket_cases, rank_baskets
from recsys.metrics.basket import basket_ndcg, basket_recall


def judged(
    run: UnitRun, name: str, seed: int, scorer: Scorer, *, seconds: float, notes: Mapping[str, object] | None = None
) -> Arm:
    """The arm of a scorer whose scores only order: one scale, fitted on validation, makes them logits.

    Args:
        run: of the unit.
        name: what the table calls it.
        seed: of its fit.
        scorer: fitted on the training sequences.
        seconds: how long the fit took.
        notes: to keep beside it.
    """
    bench = run.bench
    validation = each_item(bench, basket_cases(bench.whole, "validation")) if bench.baskets else bench.validation_cases
    # Baskets were tuned on complete histories; everything else needs no more than the default window.
    longest = max(HISTORY_LENGTH, int(bench.whole.lengths.max())) if bench.baskets else HISTORY_LENGTH
    scale = fit_scale(scorer, bench.whole, validation, bench.catalogue, history_length=longest)
    kept = {"fit_seconds": round(seconds, 2), "score_scale": scale, **(notes or {})}
    return scored_arm(bench, name, seed, scorer, scale=scale, notes=kept, history_length=longest)


def scored_arm(
    bench: Bench,
    name: str,
    seed: int,
    scorer: Scorer,
    *,
    scale: float = 1.0,
    profile: np.ndarray | None = None,
    notes: Mapping[str, object] | None = None,
    history_length: int = HISTORY_LENGTH,
) -> Arm:
    """The arm of a scorer on the split's cases.

    Args:
        bench: data and split.
        name: what the table calls it.
        seed: of its fit.
        scorer: gives logits, or scores that `scale` turns into logits.
        scale: the scores are multiplied with it before the softmax.
        profile: (users, width) float32 in the order of the sequences; None for no profile.
        notes: to keep beside it.
        history_length: window of the history tensor.
    """
    window: dict[str, Any] = {"profile": profile, "history_length": history_length}
    if not bench.baskets:
        found = score_cases(scorer, bench.whole, bench.cases, bench.catalogue, scale=scale, **window)
        return Arm(name, seed, found.ranks, found.log_loss, bench.cases.users, notes=notes or {})
    cases = bench.basket_cases
    ranks = rank_baskets(scorer, bench.whole, cases, **window)
    items = each_item(bench, cases)
    each = score_cases(scorer, bench.whole, items, bench.catalogue, scale=scale, **window).log_loss
    _, starts, sizes = np.unique(items.users, return_index=True, return_counts=True)
    losses = np.add.reduceat(each.astype(np.float64), starts) / sizes
    values = {"ndcg@10": basket_ndcg(ranks, 10), "recall@10": basket_recall(ranks, 10)}
    return Arm(name, seed, ranks[:, 0], losses.astype(np.float32), cases.users, notes=notes or {}, values=values)


def each_item(bench: Bench, cases: BasketCases) -> Cases:
    """Every distinct item of every target basket as a case of its own, all from what was known before the basket."""
    first = bench.whole.offsets[:-1][cases.users] + cases.known
    items = bench.whole.items[ragged_ranges(first, cases.sizes)]
    rows, targets = np.unique(np.stack([np.repeat(np.arange(len(cases)), cases.sizes), items]), axis=1)
    return Cases(cases.users[rows], cases.known[rows], targets)
