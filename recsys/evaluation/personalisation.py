"""Whether heads are personal: what is lost under somebody else's, and how far heads and lists differ between users."""

from __future__ import annotations

from typing import Any

import numpy as np

from recsys.evaluation.comparisons import LOG_LOSS, NDCG, compared, user_values
from recsys.evaluation.full_ranking import MODEL, SHARED_BLEND
from recsys.evaluation.head_controls import MEAN_HEAD, OTHERS_HEAD
from recsys.evaluation.measurement import Measured
from recsys.metrics.beyond_accuracy import mean_overlap
from recsys.metrics.personalisation import effective_rank, sampled_pairs

_PAIRS = 20_000


def personalisation_section(measured: Measured) -> dict[str, Any]:
    """What heads are worth to the users they were made for, and how they and the lists spread over users."""
    pairs = sampled_pairs(len(measured), _PAIRS, np.random.default_rng(0))
    others = [name for name in (OTHERS_HEAD, MEAN_HEAD, SHARED_BLEND) if name in measured.ranks]
    return {
        "figures": {
            name: {figure: _mean(user_values(measured, figure, name)) for figure in (NDCG, LOG_LOSS)}
            for name in (MODEL, *others)
        },
        "paired": [compared(measured, figure, name, MODEL) for name in others for figure in (NDCG, LOG_LOSS)],
        "effective_rank": effective_rank(measured.heads),
        "head_size": measured.heads.shape[1],
        "overlap": {name: mean_overlap(lists, pairs) if len(pairs) else None for name, lists in measured.lists.items()},
        "overlap_pairs": len(pairs),
        "spread": [
            {"number": name, "mean": float(mean), "deviation": float(deviation)}
            for name, mean, deviation in zip(
                measured.head_numbers, measured.heads.mean(0), measured.heads.std(0), strict=True
            )
        ],
    }


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if len(values) else None
