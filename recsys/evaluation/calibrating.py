"""Who calibrates, and on what: the validation targets of every fourth user, which no part was fitted on.

Chances fall as a catalogue moves on, so that earlier events would promise too much (docs/decisions/0011).
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np

from recsys.context.reader import ContextReader
from recsys.evaluation.measurement import measure
from recsys.evaluation.next_basket import BasketSplit
from recsys.evaluation.protocol import Split
from recsys.model.calibration import fit_calibration
from recsys.ranking.recommender import Recommender

RULE = "validation targets of every fourth user, by CRC-32 of the id"
"""What a snapshot's lineage says of its calibration."""
CALIBRATED_ON = "calibrated_on"
"""Where it says so."""
_EVERY = 4


def calibrates(user_ids: Sequence[str]) -> np.ndarray:
    """(users,) bool: whose validation targets fit the calibration; nobody's list has to be kept for it."""
    return np.array([zlib.crc32(user.encode()) % _EVERY == 0 for user in user_ids], dtype=bool)


def calibrated(recommender: Recommender, reader: ContextReader, validation: Split | BasketSplit) -> Recommender:
    """The same recommender, its probabilities fitted to what came true.

    Args:
        recommender: not calibrated yet.
        reader: gives each user's context strictly before the target.
        validation: the targets, of whom a fourth is read.
    """
    chosen = np.flatnonzero(calibrates(validation.user_ids))
    if not len(chosen):
        return recommender
    users = [validation.user_ids[user] for user in chosen]
    rows = reader.as_of(users, [validation.moments[user] for user in chosen])
    found = measure(recommender, rows, [validation.target_items[user] for user in chosen], {})
    baskets = found.targets.baskets
    return recommender.calibrated(fit_calibration(found.probabilities, found.hits, found.basket_sizes, baskets=baskets))
