"""A deleted user is in no file of the workspace and in no later read; an export is all that is kept of one."""

from __future__ import annotations

import time

import orjson
import polars as pl
import pytest
from typer.testing import CliRunner

from recsys.batch.formats import OUTPUT_SCHEMA
from recsys.batch.plan import Partition
from recsys.batch.sink import PartitionSink
from recsys.cli.app import build_app
from recsys.data.catalogue import Catalogue
from recsys.errors import DataError
from recsys.events.database import Database
from recsys.events.impressions import Impression, ImpressionLog
from recsys.events.lease import FoldLease
from recsys.events.log import EventLog
from recsys.events.removals import Removals
from recsys.jobs import delete_users as job
from recsys.jobs.append import append_event
from recsys.jobs.delete_users import delete_users, finish_deletions
from recsys.jobs.ingest import ingest_folder
from recsys.jobs.materialise import materialise
from recsys.workspace import HOME_VARIABLE, Workspace

pytestmark = pytest.mark.slow

GONE = [f"unmistakable-{name}" for name in ("first", "second", "third", "fourth", "fifth", "sixth")]
STAYS = "somebody-who-stays"


@pytest.fixture(scope="module")
def brought(tmp_path_factory):
    """A folder with an events and a users file."""
    folder = tmp_path_factory.mktemp("brought")
    users = [*GONE, STAYS, *(f"u{number}" for number in range(30))]
    rows = [(user, f"i{n % 7}", 1_600_000_000 + 60 * n) for n in range(12) for user in users]
    frame = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row")
    frame.write_parquet(folder / "events.parquet")
    pl.DataFrame({"user_id": users, "age": [float(n) for n in range(len(users))]}).write_parquet(
        folder / "users.parquet"
    )
    return folder


@pytest.fixture(scope="module")
def workspace(brought, tmp_path_factory):
    """A workspace with events, users, feature rows, recommendations and impressions."""
    target = Workspace("shop", tmp_path_factory.mktemp("home"))
    ingest_folder(target, brought)
    materialise(target)
    recommend(target, [*GONE, STAYS])
    show(target, [*GONE, STAYS])
    return target


@pytest.fixture(autouse=True)
def home(workspace, monkeypatch, recsys_home):
    monkeypatch.setenv(HOME_VARIABLE, str(workspace.home))


@pytest.fixture(scope="module")
def reader(workspace):
    from recsys.context.reader import FeastReader
    from recsys.data.schema import WorkspaceSchema

    return FeastReader(workspace, WorkspaceSchema.load(workspace.schema_file))


def recommend(workspace, users):
    sink = PartitionSink(workspace.recommendations / "v1-k2")
    partition = Partition(number=0, user_ids=tuple(users), key="a plan")
    sink.prepare([partition])
    moment = pl.Series([0], dtype=pl.Datetime("us", "UTC"))[0]
    rows = [(user, rank, f"i{rank}", 0.5, "1", moment) for user in users for rank in (1, 2)]
    written = sink.write(partition, pl.DataFrame(rows, schema=OUTPUT_SCHEMA, orient="row"), 0)
    sink.succeed([written], {"k": 2})


def show(workspace, users):
    shown = [
        Impression(request_id=f"r{n}-{user}", shown_at=n, user_id=user, model_version="1", item_ids=("i1", "i2"))
        for n in range(300)
        for user in users
    ]
    ImpressionLog.of(workspace).append(shown)


def command(*arguments):
    return CliRunner().invoke(build_app(), ["events", *arguments, "--workspace", "shop"])


def test_a_deleted_user_is_in_no_byte_of_the_workspace_and_the_others_are_as_before(workspace, reader, files_with):
    user = GONE[0]
    held = {path.split("/")[0] for path in files_with(workspace.root, user)}
    assert held == {"catalogue", "events", "feature_store", "recommendations", "impressions"}
    before = reader.online([STAYS, "u3"])
    result = delete_users(workspace, [user])
    assert (result.users, result.events) == (1, 12)
    assert files_with(workspace.root, user) == []
    assert reader.online([STAYS, "u3"]) == before
    assert files_with(workspace.root, STAYS)
    assert ImpressionLog.of(workspace).read(user_id=STAYS).height == 300


def test_an_open_reader_sees_it_at_its_next_read_online_and_as_of_the_past(workspace, reader):
    user = GONE[1]
    append_event(workspace, {"user_id": user, "item_id": "i1"})
    assert reader.online([user])[0].event_count == 13
    delete_users(workspace, [user])
    now, then = reader.online([user, STAYS]), reader.as_of([user, STAYS], [1_600_000_300_000_000] * 2)
    assert [row.degraded for row in now] == ["unknown_user", None]
    assert [row.degraded for row in then] == ["unknown_user", None]
    assert [row.event_count for row in now] == [0, 12]


def test_importing_the_old_file_again_brings_nobody_back_and_new_events_do(workspace, reader, brought):
    user = GONE[2]
    delete_users(workspace, [user])
    again = ingest_folder(workspace, brought)
    assert again.appended == 0
    assert again.withheld == 12 * sum(user not in Catalogue.load(workspace).users["user_id"] for user in GONE)
    assert reader.online([user])[0].degraded == "unknown_user"
    assert append_event(workspace, {"user_id": user, "item_id": "i1", "timestamp": 1_600_000_000}).withheld == 1
    assert append_event(workspace, {"user_id": user, "item_id": "i1"}).appended == 1
    assert reader.online([user])[0].history_items == ("i1",)
    ingest_folder(workspace, brought)
    assert reader.online([user])[0].event_count == 1
    assert user in Catalogue.load(workspace).users["user_id"]


def test_an_interrupted_deletion_is_felt_at_once_and_completed_later(workspace, reader, files_with, monkeypatch):
    user = GONE[3]

    def broken(*arguments):
        raise OSError("the power went")

    monkeypatch.setattr(job, "_clean_offline", broken)
    with pytest.raises(OSError, match="power"):
        delete_users(workspace, [user])
    assert reader.online([user])[0].degraded == "unknown_user"
    assert reader.as_of([user], [2**62])[0].degraded == "unknown_user"
    assert files_with(workspace.root, user)
    monkeypatch.undo()
    monkeypatch.setenv(HOME_VARIABLE, str(workspace.home))
    finish_deletions(workspace)
    assert files_with(workspace.root, user) == []
    assert Removals(workspace.event_log).are_done()


def test_deleting_again_and_deleting_strangers_changes_nothing(workspace):
    before = EventLog(workspace.event_log).read()
    assert delete_users(workspace, [GONE[0], "stranger"]).events == 0
    assert EventLog(workspace.event_log).read().equals(before)


def test_deleting_again_rewrites_nothing_and_takes_along_what_came_since(workspace, files_with, monkeypatch):
    user = "unmistakable-again"
    append_event(workspace, {"user_id": user, "item_id": "i1"})
    delete_users(workspace, [user])
    position = EventLog(workspace.event_log).position()
    rewritten = []
    monkeypatch.setattr(Database, "rewrite", lambda self: rewritten.append(self.path))
    assert delete_users(workspace, [user]).position == position + 1
    assert rewritten == []
    monkeypatch.undo()
    monkeypatch.setenv(HOME_VARIABLE, str(workspace.home))
    later = time.time_ns() // 1000 + 10**9
    shown = Impression(request_id="r", shown_at=later, user_id=user, model_version="1", item_ids=("i1",))
    assert ImpressionLog.of(workspace).append([shown]) == 1
    folder = workspace.recommendations / "v1-again"
    folder.mkdir()
    rows = [(user, 1, "i1", 0.5, "1", None)]
    pl.DataFrame(rows, schema=OUTPUT_SCHEMA, orient="row").write_parquet(folder / "part-00000.parquet")
    assert files_with(workspace.root, user)
    assert delete_users(workspace, [user]).events == 0
    assert files_with(workspace.root, user) == []


def test_rows_in_the_hands_of_a_paused_writer_do_not_come_back(workspace, reader):
    from recsys.errors import LeaseError

    user = GONE[4]
    lease = FoldLease(workspace.event_log)
    token = lease.acquire("serving")
    rows = reader._folder.now([user])
    delete_users(workspace, [user])
    with pytest.raises(LeaseError):
        reader._store.push(rows, token)
    assert reader._store.read_online([user])["present"] == [None]


def test_an_export_holds_profile_events_and_what_is_stored(workspace, tmp_path):
    file = tmp_path / "export.jsonl"
    done = command("export-user", STAYS, "--out", str(file), "--json")
    assert done.exit_code == 0
    records = [orjson.loads(line) for line in file.read_bytes().splitlines()]
    assert {(record["record"], record.get("where", "").split("/")[0]) for record in records} == {
        ("profile", ""),
        ("event", ""),
        ("impression", ""),
        ("stored", "online"),
        ("stored", "feature_store"),
        ("stored", "recommendations"),
    }
    assert all(record["user_id"] == STAYS for record in records)
    assert sum(record["record"] == "event" for record in records) == 12
    assert sum(record["record"] == "impression" for record in records) == 300
    assert next(record for record in records if record["record"] == "profile")["age"] == 6.0
    assert [orjson.loads(line) for line in command("export-user", STAYS).stdout.splitlines()] == records


def test_the_numbers_of_recommendations_stay_true(workspace):
    folder = workspace.recommendations / "v1-k2"
    manifest = orjson.loads((folder / "_SUCCESS").read_bytes())
    rows = pl.read_parquet(folder / "*.parquet").height
    assert manifest["rows"] == manifest["partitions"][0]["rows"] == rows < 2 * (len(GONE) + 1)


def test_nothing_is_deleted_without_asking(workspace):
    refused = CliRunner().invoke(build_app(), ["events", "delete-user", GONE[5], "-w", "shop"], input="n\n")
    assert refused.exit_code == 1
    assert EventLog(workspace.event_log).read([GONE[5]]).height == 12
    done = command("delete-user", GONE[5], "--yes", "--json")
    assert done.exit_code == 0
    assert orjson.loads(done.stdout.splitlines()[-1])["events"] == 12
    assert GONE[5] not in done.output
    unknown = command("export-user", GONE[5])
    assert unknown.exit_code == 2
    assert "holds nothing of a user" in unknown.output


def test_an_empty_id_is_a_mistake(workspace):
    with pytest.raises(DataError, match="never empty"):
        delete_users(workspace, [""])


def test_a_copied_workspace_forgets_a_user_without_touching_the_original(workspace, reader, tmp_path, files_with):
    import shutil

    shutil.copytree(workspace.root, tmp_path / "shop")
    copy = Workspace("shop", tmp_path)
    before = reader._store.read_online([STAYS])
    delete_users(copy, [STAYS])
    assert files_with(copy.root, STAYS) == []
    assert reader._store.read_online([STAYS]) == before
    started = time.monotonic()
    finish_deletions(copy)
    assert time.monotonic() - started < 1
