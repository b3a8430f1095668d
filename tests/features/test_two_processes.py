"""Two processes append and compete for folding, four threads read: no error, no lost write, nothing left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from recsys.context.rows import feature_rows
from recsys.events.lease import FoldLease
from recsys.jobs.materialise import materialise

pytestmark = pytest.mark.slow

USERS = ["ann", "böb", "c c", "new"]
EVENTS = 120
WRITER = """
import sys, time
from pathlib import Path
import polars as pl
from recsys.context.reader import FeastReader
from recsys.data.canonical import EVENT_SCHEMA
from recsys.data.schema import WorkspaceSchema
from recsys.events.lease import FoldLease
from recsys.events.log import EventLog
from recsys.serving.folder.live import LiveFolder
from recsys.workspace import Workspace

name, users, count = sys.argv[2], sys.argv[3].split(","), int(sys.argv[4])
workspace = Workspace("small-world", Path(sys.argv[1]))
reader = FeastReader(workspace, WorkspaceSchema.load(workspace.schema_file))
log = EventLog(workspace.event_log)
print("ready", flush=True)
sys.stdin.readline()
for part in range(4):  # leaves and comes back, so that the lease goes to and fro
    with LiveFolder(FoldLease(workspace.event_log, seconds=1), reader.catch_up, poll_seconds=0.02) as live:
        for n in range(part * count // 4, (part + 1) * count // 4):
            rows = [(f"{name}-{n}", users[n % len(users)], f"i{n % 9}", 1_000 + n, None, 1.0)]
            appended = log.append(pl.DataFrame(rows, schema=EVENT_SCHEMA, orient="row"))
            assert appended.accepted == 1
            live.refresh([users[n % len(users)]])
        print("held" if live.holds_lease else "stood by", flush=True)
print("done", flush=True)
"""


def start(home: Path, name: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(home), name, ",".join(USERS), str(EVENTS)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )


def folded(world):
    rows = feature_rows(world.folder.now(USERS).to_dict(as_series=False), world.schema)
    return {row.user_id: row for row in rows}


def test_two_writing_processes_and_four_reading_threads(world):
    from recsys.context.online_upkeep import OnlineUpkeep
    from recsys.context.reader import FeastReader

    world.append(*[(user, "first", 10) for user in USERS])
    materialise(world.workspace)
    reader = FeastReader(world.workspace, world.schema)
    writers = [start(world.workspace.home, name) for name in ("one", "two")]
    assert [writer.stdout.readline() for writer in writers] == ["ready\n"] * 2
    problems, finished, counts = [], threading.Event(), {user: [0] for user in USERS}

    def read():
        last = dict.fromkeys(USERS, 0)
        try:
            while not finished.is_set():
                for row in reader.online(USERS):
                    if row.log_sequence < last[row.user_id]:
                        problems.append(f"{row.user_id} went back from {last[row.user_id]} to {row.log_sequence}")
                    last[row.user_id] = row.log_sequence
                    counts[row.user_id].append(row.event_count)
        except Exception as error:
            problems.append(error)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    said = [writer.communicate("go\n", timeout=120) for writer in writers]
    finished.set()
    for thread in threads:
        thread.join()
    assert [writer.returncode for writer in writers] == [0, 0], said
    assert problems == []
    assert [out.splitlines()[-1] for out, _ in said] == ["done", "done"]
    assert "Traceback" not in said[0][1] + said[1][1]
    assert any("held" in out for out, _ in said)
    events = world.log.read()
    assert events.height == len(USERS) + 2 * EVENTS
    assert events["event_id"].n_unique() == events.height
    assert max(map(max, counts.values())) > 1, "readers saw none of it"
    assert reader.online(USERS) == [folded(world)[user] for user in USERS]
    token = FoldLease(world.workspace.event_log).acquire("maintenance")
    while reader.catch_up(token):
        pass
    assert OnlineUpkeep(reader._store.features).folded_up_to() == world.log.position()
    stored = reader._store.read_online(USERS)
    assert stored["event_count"] == [folded(world)[user].event_count for user in USERS]
