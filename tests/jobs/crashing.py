"""Kills jobs at failpoints and looks at what is left; prints one JSON object a failpoint. Run by test_crashes.py.

Everything is imported once, each job runs in a child that is forked from here. No frame is touched before the forks:
polars starts its threads with the first one.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars as pl

import recsys.batch.forgetting
import recsys.context.catch_up
import recsys.context.store
import recsys.events.lease
from recsys.batch.sink import SUCCESS
from recsys.context.layout import offline_rows
from recsys.context.reader import FeastReader
from recsys.context.rows import feature_rows, unknown_user
from recsys.data.canonical import EVENT_SCHEMA
from recsys.data.imported import ImportedData
from recsys.data.schema import WorkspaceSchema
from recsys.events.impressions import Impression, ImpressionLog
from recsys.events.lease import FoldLease
from recsys.events.log import EventLog
from recsys.events.removals import Removals
from recsys.failpoints import VARIABLE
from recsys.jobs.archive import verify_archive
from recsys.jobs.backup import backup
from recsys.jobs.delete_users import delete_users, finish_deletions
from recsys.jobs.feature_versions import drop, migrate, versions
from recsys.jobs.ingest import ingest
from recsys.jobs.materialise import materialise
from recsys.jobs.prune import prune
from recsys.jobs.restore import restore
from recsys.workspace import HOME_VARIABLE, Workspace

PARTITION = "part-00000.parquet"
GONE, USERS = "unmistakable-user", ["ann", "bob", "carl", "unmistakable-user"]
READ = [*USERS, "newbie"]
MOMENTS = (0, 1_000_005, 1_000_020, 2**60)
HOUR = 3_600_000_000


def events(first: int, count: int) -> pl.DataFrame:
    rows = [(f"e{n}", USERS[n % 4], f"i{n % 5}", 1_000_000 + n, None, 1.0) for n in range(first, first + count)]
    return pl.DataFrame(rows, schema=EVENT_SCHEMA, orient="row")


def imported() -> ImportedData:
    schema = WorkspaceSchema(name="shop", user_columns={"age": "numeric"}, repeats=True)
    return ImportedData(
        source="by hand",
        events=events(0, 20),
        users=pl.DataFrame({"user_id": USERS, "age": [1.0, 2.0, 3.0, 4.0]}),
        items=pl.DataFrame(schema=schema.items_frame_schema()),
        schema=schema,
    )


def imported_again() -> ImportedData:
    """The same events with other profiles, and a user who is new."""
    users = pl.DataFrame({"user_id": [*USERS, "newbie"], "age": [1.5, 2.0, 3.5, 4.5, 5.5]})
    return replace(imported(), users=users)


def base(workspace: Workspace) -> None:
    """Twelve more events than are folded in, and a list of recommendations."""
    ingest(workspace, imported())
    materialise(workspace)
    EventLog(workspace.event_log).append(events(20, 12))
    recommend(workspace)


def recommend(workspace: Workspace) -> None:
    ImpressionLog.of(workspace).append(
        [Impression(request_id=one, shown_at=1, user_id=one, model_version="1", item_ids=("i1",)) for one in USERS]
    )
    folder = workspace.recommendations / "v1"
    folder.mkdir(parents=True)
    pl.DataFrame({"user_id": USERS}).write_parquet(folder / PARTITION)
    manifest = {"rows": len(USERS), "partitions": [{"file": PARTITION, "rows": len(USERS)}]}
    (folder / SUCCESS).write_text(json.dumps(manifest))


def base_of_two_versions(workspace: Workspace) -> None:
    """The same after the meaning of the features changed: rows of two versions are stored, both behind the log."""
    ingest(workspace, imported())
    materialise(workspace)
    replace(WorkspaceSchema.load(workspace.schema_file), repeats=False).save(workspace.schema_file)
    migrate(workspace)
    EventLog(workspace.event_log).append(events(20, 12))
    recommend(workspace)


def base_of_backup(workspace: Workspace) -> None:
    """The same as `base`, backed up; then a user was deleted, and events came that the backup lacks."""
    base(workspace)
    backup(workspace, backup_file(workspace))
    delete_users(workspace, [GONE])
    EventLog(workspace.event_log).append(events(32, 3))


def backup_file(workspace: Workspace) -> Path:
    return workspace.home.parent / "shop.backup"


def back_up(workspace: Workspace) -> None:
    target = workspace.home.parent / "another.backup"
    backup(workspace, target)
    verify_archive(target)


def drop_the_older(workspace: Workspace) -> bool:
    older = [one.service for one in versions(workspace) if not one.present]
    return bool([drop(workspace, service) for service in older])


def reader_of(workspace: Workspace) -> FeastReader:
    return FeastReader(workspace, WorkspaceSchema.load(workspace.schema_file))


def fold(workspace: Workspace) -> None:
    lease = FoldLease(workspace.event_log)
    token = lease.acquire("serving")
    assert token is not None
    reader = reader_of(workspace)
    while reader.catch_up(token):
        pass
    lease.release(token)


JOBS: dict[str, Callable[[Workspace], object]] = {
    "import": lambda workspace: ingest(workspace, imported()),
    "import-again": lambda workspace: ingest(workspace, imported_again()),
    "append": lambda workspace: EventLog(workspace.event_log).append(events(32, 6)),
    "lease": materialise,
    "fold": fold,
    "materialise": materialise,
    "rebuild": lambda workspace: materialise(workspace, rebuild=True),
    "drop": drop_the_older,
    "prune": lambda workspace: prune(workspace, 0, keep_last=3, now=2_000_000),
    "delete": lambda workspace: delete_users(workspace, [GONE]),
    "backup": back_up,
    "restore": lambda workspace: restore(backup_file(workspace), replace=True),
}
BASES = {"drop": "two", "prune": "two", "delete": "two", "restore": "backup"}


def differences(workspace: Workspace) -> list[str]:
    """What readers get and the log alone does not say: nothing, ever."""
    found, reader = [], reader_of(workspace)
    folder, schema = reader._folder, reader.schema
    now = {row.user_id: row for row in feature_rows(folder.now(READ).to_dict(as_series=False), schema)}
    for user, row in zip(READ, reader.online(READ), strict=True):
        if row != now.get(user, unknown_user(user, schema)):
            found.append(f"online {user}")
    pairs = [(user, moment) for user in READ for moment in MOMENTS]
    frame = pl.DataFrame(pairs, schema={"user_id": pl.String, "effective_at": pl.Int64}, orient="row")
    before = folder.before(frame)
    rows = feature_rows(before.to_dict(as_series=False), schema)
    then = dict(zip(before.select("user_id", "effective_at").rows(), rows, strict=True))
    for pair, row in zip(pairs, reader.as_of(*zip(*pairs, strict=True)), strict=True):
        if row != then.get(pair, unknown_user(pair[0], schema)):
            found.append(f"as of {pair}")
    return found


def stored_differences(workspace: Workspace) -> list[str]:
    """Stored online rows that the log does not say, once everything is folded in."""
    reader = reader_of(workspace)
    known = reader._folder.now(READ).drop("effective_at", "log_position", "seen_log_position").to_dicts()
    stored = reader._store.read_online(READ)
    expected = {row["user_id"]: row for row in known}
    found = []
    for n, user in enumerate(READ):
        row = {name: values[n] for name, values in stored.items() if not name.endswith("log_position")}
        if (row if row["present"] else None) != expected.get(user):
            found.append(user)
    return found


def look(workspace: Workspace, *, stored: bool) -> dict[str, object]:
    log = EventLog(workspace.event_log)
    ids = log.read()["event_id"].to_list()
    return {
        "events": len(ids),
        "twice": len(ids) - len(set(ids)),
        "gone": log.read([GONE]).height,
        "position": log.position(),
        "versions": [one.service for one in versions(workspace) if one.rows == "users"] if stored else [],
        "folders": sorted(path.name for path in offline_rows(workspace).iterdir()) if stored else [],
        "rows_of_gone": [str(path) for path in workspace.home.rglob("*.parquet") if holds_rows(path, GONE)],
        "differences": differences(workspace),
        "stored_differences": stored_differences(workspace) if stored else [],
        "listed": listed(workspace),
        "removals_done": Removals(workspace.event_log).are_done() and ImpressionLog.of(workspace).are_done(),
    }


def listed(workspace: Workspace) -> list[int] | None:
    """Rows of a list of recommendations: by its manifest as a whole and by part, and in its file."""
    folder = workspace.recommendations / "v1"
    if not (folder / SUCCESS).is_file():
        return None
    manifest = json.loads((folder / SUCCESS).read_text())
    return [manifest["rows"], manifest["partitions"][0]["rows"], pl.read_parquet(folder / PARTITION).height]


def in_child(work: Callable[[], object], answer: Path, armed: str | None = None) -> int:
    """Runs work in a fork; its result, or its traceback, goes to a file. Returns the signal that ended it."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            if armed is not None:
                os.environ[VARIABLE] = armed
            answer.write_text(json.dumps(work()))
            code = 0
        except BaseException:
            answer.write_text(json.dumps({"error": traceback.format_exc()}))
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


def after_restart(workspace: Workspace, job: str) -> dict[str, object]:
    """An hour later, when the dead process's lease has expired: what is read at once, then what is made of it."""
    recsys.events.lease._now = lambda: time.time_ns() // 1000 + HOUR
    first = look(workspace, stored=False) if job not in ("import", "lease", "restore") else {}
    if job in ("import", "import-again", "append", "backup", "restore"):
        JOBS[job](workspace)
    if job in ("import", "import-again"):
        materialise(workspace)
    elif job == "delete":
        finish_deletions(workspace)
    elif job == "drop":
        drop_the_older(workspace)
    elif job in ("lease", "materialise", "rebuild", "prune"):
        materialise(workspace)
    fold(workspace)
    return {"first": first, "then": look(workspace, stored=True)}


def main(folder: Path, cases: list[str]) -> None:
    workspace, answer = Workspace("shop", folder / "home"), folder / "answer.json"
    os.environ[HOME_VARIABLE] = str(workspace.home)
    for make, kept in ((base, "one"), (base_of_two_versions, "two"), (base_of_backup, "backup")):
        shutil.rmtree(workspace.root, ignore_errors=True)
        in_child(lambda make=make: bool(make(workspace)), answer)
        shutil.copytree(workspace.root, folder / "kept" / kept)
    for case in cases:
        job, point = job_and_point(case)
        shutil.rmtree(workspace.home)
        workspace.home.mkdir()
        if job != "import":
            shutil.copytree(folder / "kept" / BASES.get(job, "one"), workspace.root)
        killed = in_child(lambda job=job: bool(JOBS[job](workspace)), answer, point) == signal.SIGKILL
        made = (folder / "another.backup").exists()
        in_child(lambda job=job: after_restart(workspace, job), answer)
        (folder / "another.backup").unlink(missing_ok=True)
        left = sorted(str(path.relative_to(folder)) for path in workspace.home.rglob("*") if holds(path, GONE))
        beside = sorted(path.name for path in workspace.home.iterdir() if path != workspace.root)
        found = {"case": case, "killed": killed, "left": left, "beside": beside, "made": made}
        sys.stdout.write(json.dumps(found | json.loads(answer.read_text())) + "\n")
        sys.stdout.flush()


def job_and_point(case: str) -> tuple[str, str]:
    """A failpoint by itself is passed by the job that it is named after; "rebuild POINT" by a rebuild."""
    job, _, point = case.rpartition(" ")
    return job or point.split(".")[0], point


def holds(path: Path, wanted: str) -> bool:
    return path.is_file() and path.suffix != ".parquet" and wanted.encode() in path.read_bytes()


def holds_rows(path: Path, user: str) -> bool:
    return "user_id" in pl.read_parquet_schema(path) and user in pl.read_parquet(path)["user_id"]


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
