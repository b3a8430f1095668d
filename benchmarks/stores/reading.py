"""How long one user's context takes, from call to tensors, and 256 users' at once; Feast's own read beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.stores.synthetic import ITEMS, append_distinct, user_name
from benchmarks.stores.timing import summary, timed
from recsys.context.encoder import ContextEncoder
from recsys.context.profile import ProfileEncoding
from recsys.context.reader import FeastReader
from recsys.data.schema import WorkspaceSchema
from recsys.garbage import keep_what_is_there
from recsys.jobs.materialise import materialise
from recsys.workspace import Workspace

MANY_EVENTS = 2_277
BUDGET_SECONDS = 5.0


def encoder_of(schema: WorkspaceSchema) -> ContextEncoder:
    """An encoder that knows every synthetic item."""
    profile = ProfileEncoding.fit([], schema.user_columns, min_count=1)
    return ContextEncoder([f"item-{number}" for number in range(ITEMS)], profile)


def measure_reads(workspace: Workspace, schema: WorkspaceSchema, users: int, calls: int) -> dict[str, Any]:
    """Latencies on one workspace.

    Args:
        workspace: materialised, with the users 0 … users - 1.
        schema: its schema.
        users: how many there are.
        calls: how many single reads are timed; a fiftieth as many reads of 256 users.
    """
    encoder = encoder_of(schema)
    readers = {
        "context": FeastReader(workspace, schema),
        "context_with_time_budget": FeastReader(workspace, schema, budget=BUDGET_SECONDS),
    }
    keep_what_is_there()  # as the service does once it is assembled
    rng = np.random.default_rng(1)
    singles = [[user_name(number)] for number in rng.integers(0, users, calls)]
    batches = [[user_name(number) for number in rng.integers(0, users, 256)] for _ in range(max(calls // 50, 5))]
    figures: dict[str, Any] = {}
    for name, reader in readers.items():

        def context(user_ids: Sequence[str], reader: FeastReader = reader) -> object:
            return encoder.encode(reader.online(user_ids))

        figures[name] = {
            "one_user": summary(timed(context, singles, warm_up=calls // 10)),
            "256_users": summary(timed(context, batches, warm_up=3)),
        }
    store = readers["context"]._store
    figures["store_alone"] = {
        "one_user": summary(timed(store.read_online, singles, warm_up=calls // 10)),
        "256_users": summary(timed(store.read_online, batches, warm_up=3)),
    }
    figures["feast_get_online_features"] = _feast(store.features, singles, batches)
    figures["ratio_of_store_reads_to_feast"] = {
        size: round(figures["store_alone"][size]["p50_ms"] / figures["feast_get_online_features"][size]["p50_ms"], 3)
        for size in ("one_user", "256_users")
    }
    return figures


def _feast(features: Any, singles: Sequence[Sequence[str]], batches: Sequence[Sequence[str]]) -> dict[str, Any]:
    """The reference: Feast's public call on the same rows, as columns too."""
    opened = features.open()

    def read(user_ids: Sequence[str]) -> object:
        rows = [{"user_id": user_id} for user_id in user_ids]
        return opened.store.get_online_features(features=opened.service, entity_rows=rows).to_dict()

    return {
        "one_user": summary(timed(read, singles[: max(len(singles) // 4, 5)], warm_up=5)),
        "256_users": summary(timed(read, batches, warm_up=1)),
    }


def measure_seen(workspace: Workspace, schema: WorkspaceSchema) -> dict[str, Any]:
    """Whether a user with very many events loses any from the seen set: in the store, in the tail, in the tensors."""
    reader = FeastReader(workspace, schema)
    user = "very-busy"
    append_distinct(reader._folder.log, user, MANY_EVENTS)
    tail = len(reader.online([user])[0].seen_items)
    materialise(workspace)
    [row] = FeastReader(workspace, schema).online([user])
    [past] = reader.as_of([user], [2**62])
    tensors = encoder_of(schema).encode([row])
    found = {
        "events": MANY_EVENTS,
        "from_the_tail": tail,
        "online": len(row.seen_items),
        "as_of": len(past.seen_items),
        "in_the_tensor": int(tensors.seen.unique().numel()),
    }
    return {**found, "lost": MANY_EVENTS * 4 - sum(list(found.values())[1:])}
