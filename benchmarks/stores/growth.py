"""Building all users' rows, offline and online, for ever more users: time, memory, and where the time goes.

Each size runs in a process of its own, so that its peak of memory is its own.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.stores.synthetic import append_users, make_workspace
from recsys.context.folding import USERS_A_CHUNK, RowFolder
from recsys.events.lease import FoldLease, maintenance
from recsys.events.log import EventLog
from recsys.jobs.materialise import CUTS

EVENTS_EACH = 10


def measure_growth(sizes: Sequence[int], work: Path | None) -> dict[str, Any]:
    """One size after the other.

    Args:
        sizes: numbers of users, ascending.
        work: where the workspaces are made for the while; None: the system's temporary folder.

    Returns:
        One entry a size; the memory of each beside that of the smallest, the seconds a user likewise.
    """
    runs = []
    for users in sizes:
        with tempfile.TemporaryDirectory(dir=work, prefix="recsys-growth-") as folder:
            command = [sys.executable, "-m", "benchmarks.stores.growth", folder, str(users)]
            ended = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        runs.append(json.loads(ended.stdout.splitlines()[-1]))
        print(f"  {users:>9,} users: {runs[-1]}", flush=True)
    first = runs[0]
    for run in runs:
        run["seconds_a_user_to_smallest"] = round(
            (run["build_seconds"] / run["users"]) / (first["build_seconds"] / first["users"]), 3
        )
    return {"events_each": EVENTS_EACH, "users_a_chunk": USERS_A_CHUNK, "cuts": list(CUTS), "runs": runs}


def build(home: Path, users: int) -> dict[str, Any]:
    """Fills a log, then does what `recsys features materialise` does, timing its two halves."""
    from recsys.context.store import FeatureStoreAdapter
    from recsys.context.user_store import UserStore

    workspace, schema = make_workspace(home, "growth")
    started = time.perf_counter()
    append_users(EventLog(workspace.event_log), 0, users, EVENTS_EACH)
    appended = time.perf_counter()
    before = _peak_mb()
    features = FeatureStoreAdapter(workspace, schema)
    features.apply()
    rows = UserStore(features)
    applied = time.perf_counter()
    lease = FoldLease(workspace.event_log)
    with maintenance(lease, "measure") as token:
        parts = rows.write_offline(RowFolder.of(workspace, schema).chunks(CUTS), partial(lease.guarded, token))
        written = time.perf_counter()
        stored = rows.materialise(token)
    done = time.perf_counter()
    if stored != users:
        raise SystemExit(f"{stored} rows for {users} users")
    return {
        "users": users,
        "parts": len(parts),
        "append_seconds": round(appended - started, 2),
        "offline_seconds": round(written - applied, 2),
        "online_seconds": round(done - written, 2),
        "build_seconds": round(done - applied, 2),
        "users_a_second": round(users / (done - applied)),
        "peak_memory_mb_before": before,
        "peak_memory_mb": _peak_mb(),
    }


def _peak_mb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1_024


if __name__ == "__main__":
    print(json.dumps(build(Path(sys.argv[1]), int(sys.argv[2]))))
