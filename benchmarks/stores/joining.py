"""How fast rows as of many past moments are joined in Ray shards, beside the same join in one piece (the reference)."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
import polars as pl

from benchmarks.stores.synthetic import START, user_name
from recsys.cluster import ray_cluster
from recsys.context.store import FeatureStoreAdapter
from recsys.context.user_store import SHARDED_FROM, UserStore
from recsys.data.schema import WorkspaceSchema
from recsys.workspace import Workspace

_SECOND = 1_000_000


def measure_joins(
    workspace: Workspace, schema: WorkspaceSchema, users: int, moments: int, shards: int, rounds: int = 3
) -> dict[str, Any]:
    """Joins the same moments in one piece and in shards, in turns; Ray runs before, its workers are warm.

    Args:
        workspace: materialised synthetic users.
        schema: its schema.
        users: how many there are.
        moments: how many (user, moment) pairs are asked for; from SHARDED_FROM on they are sharded.
        shards: into how many Ray tasks.
        rounds: how often each way is timed.

    Raises:
        SystemExit: rows were lost or invented, or the two ways differ.
    """
    if moments < SHARDED_FROM:
        raise SystemExit(f"{moments} moments are joined in one piece: ask for at least {SHARDED_FROM}")
    asked = _asked(users, moments)
    plain, sharded = (_store(workspace, schema, number) for number in (1, shards))
    with ray_cluster():
        first, found = _timed(sharded.read_as_of, asked)
        _, expected = _timed(plain.read_as_of, asked)
        if expected.height != moments or not found.equals(expected):
            raise SystemExit(f"{found.height} and {expected.height} rows for {moments} moments, or other ones")
        seconds: dict[str, list[float]] = {"unsharded": [], "sharded": []}
        for _ in range(rounds):
            for way, store in (("unsharded", plain), ("sharded", sharded)):
                taken, again = _timed(store.read_as_of, asked)
                if again.height != moments:
                    raise SystemExit(f"{again.height} rows for {moments} moments, {way}")
                seconds[way].append(taken)
    figures = {way: _figures(taken, moments) for way, taken in seconds.items()}
    return {
        "users": users,
        "rows_in": moments,
        "rows_out": found.height,
        "shards": shards,
        **figures,
        "sharded_first_call_seconds": round(first, 3),
        "ratio_of_speed_sharded_to_unsharded": round(median(seconds["unsharded"]) / median(seconds["sharded"]), 3),
    }


def _asked(users: int, moments: int) -> pl.DataFrame:
    """Pairs of a user and a moment, before, within and after the users' events; pairs may repeat."""
    rng = np.random.default_rng(7)
    names = [user_name(number) for number in rng.integers(0, users, moments)]
    latest = START + 400 * users * _SECOND
    return pl.DataFrame({"user_id": names, "effective_at": rng.integers(START - _SECOND, latest, moments)})


def _store(workspace: Workspace, schema: WorkspaceSchema, shards: int) -> UserStore:
    features = FeatureStoreAdapter(workspace, schema)
    features.engine = features.engine.model_copy(update={"join_shards": shards})
    features.open()
    return UserStore(features)


def _timed(read: Callable[[pl.DataFrame], pl.DataFrame], asked: pl.DataFrame) -> tuple[float, pl.DataFrame]:
    started = time.perf_counter()
    found = read(asked)
    return time.perf_counter() - started, found


def _figures(seconds: list[float], moments: int) -> dict[str, float]:
    middle = median(seconds)
    return {"seconds": round(middle, 3), "rows_a_second": round(moments / middle)}
