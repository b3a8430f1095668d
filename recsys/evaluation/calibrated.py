"""Whether the model's probabilities come true on the evaluated users, and whether any of them helped to fit them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from recsys.evaluation.calibrating import RULE, calibrates
from recsys.evaluation.full_ranking import MODEL
from recsys.evaluation.measurement import Measured
from recsys.metrics.calibration import BINS, brier_score, brier_skill, error_of_chance, reliability

ITEM, LIST = "item", "list"
MEANING = "meaning"
"""Where the section says in words what its two probabilities are of."""
_OF_AN_ITEM = {ITEM: "P(item is next)", LIST: "P(target in the top-10)"}
_OF_A_BASKET = {ITEM: "P(item is in the next basket)", LIST: "P(any of the top-10 is in the next basket)"}


def calibration_section(measured: Measured, user_ids: Sequence[str], calibrated_on: object) -> dict[str, Any]:
    """Calibration of P(item is next) over each top-10 and of P(target in the top-10).

    Where targets are baskets an item's probability is that of being in the next one.

    Args:
        measured: the model's lists with their probabilities.
        user_ids: the evaluated users, in the order of `measured`.
        calibrated_on: what the snapshot says that its calibration was fitted on. Users who helped are left out; where
            that is not `RULE`, nobody knows who they were.
    """
    known = calibrated_on == RULE
    fresh = ~calibrates(user_ids) if known else np.ones(len(user_ids), dtype=bool)
    probabilities, hits = measured.probabilities[fresh], measured.hits[fresh]
    listed = measured.lists[MODEL][fresh] >= 0
    return {
        "bins": BINS,
        "users": int(fresh.sum()),
        "users_left_out": int((~fresh).sum()),
        "users_it_was_fitted_on_are_known": known,
        **judged_lists(
            probabilities, measured.list_probabilities[fresh], hits, listed, baskets=measured.targets.baskets
        ),
    }


def judged_lists(
    probabilities: np.ndarray, of_lists: np.ndarray, hits: np.ndarray, listed: np.ndarray, *, baskets: bool
) -> dict[str, Any]:
    """Both probabilities of each list, judged, and what they are of in words.

    Args:
        probabilities: (users, 10) calibrated, of each item of a list; 0 past its end.
        of_lists: (users,) calibrated, that any item of the list is a target.
        hits: (users, 10) bool, which items are targets.
        listed: (users, 10) bool, False past a list's end.
        baskets: whether targets are baskets.
    """
    section: dict[str, Any] = {MEANING: _OF_A_BASKET if baskets else _OF_AN_ITEM}
    if listed.any():
        section[ITEM] = _judged(probabilities[listed], hits[listed])
        section[LIST] = _judged(of_lists, np.asarray(hits.any(1)))
    return section


def _judged(probabilities: np.ndarray, outcomes: np.ndarray) -> dict[str, Any]:
    bins = reliability(probabilities, outcomes)
    base_rate = float(outcomes.mean())
    chance = error_of_chance(np.clip(probabilities, 0, 1))
    return {
        "predictions": len(outcomes),
        "base_rate": base_rate,
        "mean_probability": float(probabilities.mean()),
        "ece": bins.error,
        "ece_of_chance": chance,
        "ece_over_base_rate": bins.error / base_rate if base_rate else None,
        "ece_of_chance_over_base_rate": chance / base_rate if base_rate else None,
        "brier": brier_score(probabilities, outcomes),
        "brier_of_base_rate": base_rate * (1 - base_rate),
        "brier_skill": brier_skill(probabilities, outcomes),
        "reliability": {
            "predicted": bins.predicted.tolist(),
            "observed": bins.observed.tolist(),
            "count": bins.count.tolist(),
        },
    }
