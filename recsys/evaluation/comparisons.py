"""The model against its shared blend and the best baseline on the same users, with intervals; and each scorer's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from recsys.evaluation.full_ranking import MODEL, SHARED_BLEND
from recsys.evaluation.measurement import Measured
from recsys.evaluation.significance import compare_paired

NDCG = "NDCG@10"
RECALL = "recall@10"
LOG_LOSS = "log-loss"
_NORMAL_95 = 1.96


def best_of(scorers: Sequence[str], measured: Measured) -> str:
    """The scorer with the highest NDCG@10 on these users: the strictest one to be compared with."""
    return max(scorers, key=lambda name: float(user_values(measured, NDCG, name).mean()))


def user_values(measured: Measured, figure: str, scorer: str) -> np.ndarray:
    """One value a user: a ranking figure of everyone, or the log-loss (nats) of those who have a possible target."""
    if figure != LOG_LOSS:
        return measured.figures[scorer][figure.lower()]
    finite: np.ndarray = measured.log_losses[scorer][measured.possible]
    return finite


def compared(measured: Measured, figure: str, of: str, against: str) -> dict[str, Any]:
    """One paired comparison as plain values.

    Args:
        measured: both scorers' results.
        figure: `NDCG` or, where targets are baskets, `RECALL` (more is better), or `LOG_LOSS` (less is better).
        of: the scorer that is judged.
        against: the one it is compared with.

    Returns:
        `difference` is `of` minus `against`, with its 95 % bootstrap interval over users, which is left out (None)
        where fewer than two users can be compared.
    """
    own, other = (user_values(measured, figure, scorer) for scorer in (of, against))
    plain: dict[str, Any] = {"figure": figure, "of": of, "against": against, "users": len(own)}
    if len(own) < 2:
        return plain | {"difference": float((own - other).sum()), "low": None, "high": None, "p_value": None}
    found = compare_paired(own, other)
    return plain | {"difference": found.difference, "low": found.low, "high": found.high, "p_value": found.p_value}


def comparison_section(measured: Measured, best_baseline: str | None) -> dict[str, Any]:
    """The model's paired differences, its log-loss, and how well each scorer's own NDCG@10 is known.

    Args:
        measured: all scorers' results.
        best_baseline: what to compare with beside the shared blend, None where there is no baseline.
    """
    against = [SHARED_BLEND, *([best_baseline] if best_baseline else [])]
    figures = [NDCG, RECALL] if measured.targets.baskets else [NDCG]
    possible = measured.possible
    return {
        "best_baseline": best_baseline,
        "paired": [
            *(compared(measured, figure, MODEL, other) for figure in figures for other in against),
            compared(measured, LOG_LOSS, MODEL, SHARED_BLEND),
        ],
        "log_loss": {name: _mean(user_values(measured, LOG_LOSS, name)) for name in (MODEL, SHARED_BLEND)}
        | {"uniform guess": _mean(np.log(measured.candidates[possible]))},
        "users_with_log_loss": int(possible.sum()),
        "users": len(measured),
        "ndcg@10_margin": {name: margin(user_values(measured, NDCG, name)) for name in measured.figures},
    }


def margin(values: np.ndarray) -> float:
    """Half the width of the normal 95 % interval of a mean."""
    return float(_NORMAL_95 * values.std() / np.sqrt(max(len(values), 1))) if len(values) else 0.0


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if len(values) else None
