"""From an acknowledged event to that user's next context that shows it, while the background refresh is at work."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import polars as pl

from benchmarks.stores.reading import encoder_of
from benchmarks.stores.synthetic import START, user_name
from benchmarks.stores.timing import summary
from recsys.context.reader import FeastReader
from recsys.data.canonical import EVENT_SCHEMA
from recsys.data.schema import WorkspaceSchema
from recsys.events.lease import FoldLease
from recsys.serving.folder.live import LiveFolder
from recsys.workspace import Workspace


def measure_freshness(workspace: Workspace, schema: WorkspaceSchema, users: int, events: int) -> dict[str, Any]:
    """Appends events one by one and reads after each; every tenth user is new.

    Returns:
        Latencies of the append, and from its return to the encoded context; how many contexts lacked their event.
    """
    reader, encoder = FeastReader(workspace, schema), encoder_of(schema)
    log = reader._folder.log
    rng = np.random.default_rng(2)
    appends, contexts, missing = [], [], 0
    with LiveFolder(FoldLease(workspace.event_log), reader.catch_up) as live:
        for number in range(events):
            user = f"new-{number}" if number % 10 == 0 else user_name(int(rng.integers(0, users)))
            at = START + 10**15 + number
            row = (f"fresh-{number}", user, f"item-{number % 100}", at, None, 1.0)
            started = time.perf_counter()
            log.append(pl.DataFrame([row], schema=EVENT_SCHEMA, orient="row"))
            acknowledged = time.perf_counter()
            live.refresh([user])
            [context] = reader.online([user])
            encoder.encode([context])
            contexts.append(time.perf_counter() - acknowledged)
            appends.append(acknowledged - started)
            missing += context.history_times[-1] != at
    return {"append": summary(appends), "acknowledged_to_context": summary(contexts), "missing": missing}
