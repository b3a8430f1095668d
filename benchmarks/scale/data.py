"""Events of any number of users: each walks through a taste of its own, so that there is something to learn."""

from __future__ import annotations

import numpy as np
import polars as pl

TASTES = 40
_FAITH = 0.8
_START, _GAP = 1_600_000_000, 3_600


def drawn_events(users: int, items: int, events: int, seed: int = 7) -> pl.DataFrame:
    """user_id, item_id, timestamp (seconds): no item twice for a user.

    Args:
        users: how many.
        items: in the catalogue; popular ones are taken more often within each taste.
        events: of each user.
        seed: of the draw.
    """
    draw = np.random.default_rng(seed)
    of_taste = np.arange(items) % TASTES
    weight = 1.0 / (1 + np.arange(items) // TASTES) ** 0.7
    frames = []
    for taste in range(TASTES):
        number = len(range(taste, users, TASTES))
        likely = weight * np.where(of_taste == taste, _FAITH * TASTES, 1 - _FAITH)
        keys = np.log(likely / likely.sum()) + draw.gumbel(size=(number, items)).astype(np.float32)
        chosen = np.argpartition(-keys, events, axis=1)[:, :events]
        chosen = draw.permuted(chosen, axis=1)
        ids = np.arange(taste, users, TASTES)
        frames.append(
            pl.DataFrame(
                {
                    "user_id": np.repeat(ids, events),
                    "item_id": chosen.ravel(),
                    "timestamp": (_START + ids[:, None] * 60 + np.arange(events) * _GAP).ravel(),
                }
            )
        )
    return pl.concat(frames).with_columns(pl.col("user_id", "item_id").cast(pl.String))
