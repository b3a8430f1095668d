"""A partition is whole or absent, a finished one is kept only when it is still true, _SUCCESS comes last."""

import re
from datetime import UTC, datetime
from pathlib import Path

import orjson
import polars as pl
import pytest

from recsys.batch.formats import OUTPUT_SCHEMA, partition_files
from recsys.batch.plan import BatchPlan
from recsys.batch.room import NoRoomError
from recsys.batch.rules import Rules
from recsys.batch.sink import SUCCESS, PartitionSink
from recsys.batch.user_list import UserList
from recsys.errors import ConfigError

USERS = tuple(f"u{n}" for n in range(5))
PEOPLE = UserList.of([USERS])


def plan(out, **changes):
    values = {
        "workspace": "films",
        "home": Path("/nowhere"),
        "snapshot": Path("/nowhere/snapshot"),
        "snapshot_hash": "s",
        "content_hash": "c",
        "model_version": "1",
        "as_of": 10,
        "events_before": 7,
        "log_position": 7,
        "k": 2,
        "out": out,
    }
    return BatchPlan(**(values | changes))


def frame(user_ids):
    rows = [
        (user, rank, item, 1.0 / rank, "1", datetime(2020, 1, 1, tzinfo=UTC))
        for user in user_ids
        for rank, item in ((1, "a"), (2, "b"))
    ]
    return pl.DataFrame(rows, schema=OUTPUT_SCHEMA, orient="row")


@pytest.fixture
def out(tmp_path):
    return tmp_path / "result"


def run(plan_, size=2, only=None):
    sink, partitions = PartitionSink(plan_.out, plan_.form), plan_.partitions(PEOPLE, size)
    kept = sink.prepare(partitions)
    written = [
        kept.get(partition.number) or sink.write(partition, frame(partition.user_ids), 0)
        for partition in partitions
        if only is None or partition.number in only
    ]
    if only is None:
        sink.succeed(written, {"k": plan_.k})
    return kept


def test_the_partitions_hold_every_user_once_in_order(out):
    run(plan(out))
    assert sorted(path.name for path in out.iterdir()) == [
        SUCCESS,
        "part-00000.parquet",
        "part-00001.parquet",
        "part-00002.parquet",
    ]
    read = pl.read_parquet(out / "*.parquet")
    assert read.schema == OUTPUT_SCHEMA
    assert read["user_id"].unique(maintain_order=True).to_list() == list(USERS)


def test_success_counts_users_rows_and_files(out):
    run(plan(out))
    manifest = orjson.loads((out / SUCCESS).read_bytes())
    assert (manifest["users"], manifest["rows"], manifest["k"], len(manifest["partitions"])) == (5, 10, 2, 3)


def test_a_second_run_keeps_everything_and_touches_no_file(out):
    run(plan(out))
    before = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    assert len(run(plan(out))) == 3
    assert {path.name: path.stat().st_mtime_ns for path in out.iterdir()} == before


def test_a_run_that_was_cut_short_keeps_what_is_finished_and_has_no_success(out):
    run(plan(out), only=[1])
    (out / ".unfinished-part-00000.parquet-abc").write_bytes(b"half")
    assert not (out / SUCCESS).exists()
    assert list(run(plan(out))) == [1]
    assert not list(out.glob(".unfinished-*"))
    assert (out / SUCCESS).exists()


@pytest.mark.parametrize(
    "change",
    [
        {"content_hash": "other"},
        {"model_version": "2"},
        {"as_of": 11},
        {"events_before": 8},
        {"newest_event": 8},
        {"catalogue_position": 8},
        {"k": 3},
        {"rules": Rules(("a",))},
        {"rules": Rules((), ("a", "b"))},
        {"form": "csv"},
        {"form": "jsonl"},
    ],
)
def test_what_another_plan_made_is_not_kept(out, change):
    run(plan(out))
    other = plan(out, **change)
    sink = PartitionSink(out, other.form)
    assert sink.prepare(other.partitions(PEOPLE, 2)) == {}
    assert list(out.iterdir()) == []


def interrupted(sink):
    with sink.alone():
        (sink.folder / ".unfinished-part-00000.parquet-abc").write_bytes(b"half")
        raise KeyboardInterrupt


def test_a_run_that_is_interrupted_leaves_nothing_half_written(out):
    with pytest.raises(KeyboardInterrupt):
        interrupted(PartitionSink(out))
    assert not list(out.glob(".unfinished-*"))


@pytest.mark.parametrize("users", [2, 1])
def test_what_another_run_wrote_meanwhile_is_no_success(out, users):
    sink, partitions = PartitionSink(out), plan(out).partitions(PEOPLE, 2)
    sink.prepare(partitions)
    written = [sink.write(partition, frame(partition.user_ids), 0) for partition in partitions]
    *_, other = plan(out, model_version="2").partitions(PEOPLE, users)
    sink.write(other, frame(other.user_ids), 0)
    (out / SUCCESS).write_text("of the other")
    with pytest.raises(ConfigError, match="Something else wrote or removed partitions"):
        sink.succeed(written, {})
    assert not (out / SUCCESS).exists()


def test_where_things_lie_does_not_change_what_is_made(out, tmp_path):
    here, there = plan(out), plan(tmp_path / "elsewhere", home=Path("/moved"), snapshot=Path("/moved/snapshot"))
    assert [p.key for p in here.partitions(PEOPLE, 2)] == [p.key for p in there.partitions(PEOPLE, 2)]


def test_fewer_partitions_leave_no_file_of_the_run_before(out):
    run(plan(out))
    run(plan(out), size=5)
    assert [path.name for path in out.glob("*.parquet")] == ["part-00000.parquet"]


def test_a_damaged_partition_is_made_again(out):
    run(plan(out))
    part = out / "part-00001.parquet"
    part.write_bytes(part.read_bytes()[:-10])
    assert sorted(run(plan(out))) == [0, 2]
    assert pl.read_parquet(out / "*.parquet").height == 10


def test_a_full_disk_leaves_no_half_file(out, monkeypatch):
    sink, [partition] = PartitionSink(out), plan(out).partitions(PEOPLE)
    sink.prepare([partition])

    def full(self, file, **options):
        Path(file).write_bytes(b"half a file")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pl.DataFrame, "write_parquet", full)
    with pytest.raises(NoRoomError, match="no space left"):
        sink.write(partition, frame(USERS), 0)
    assert list(out.iterdir()) == []


@pytest.mark.parametrize("name", ["sales.parquet", "part-00000-8f3a.snappy.parquet", "part-0.parquet", "part-time.csv"])
def test_a_folder_with_files_of_others_is_refused_and_left_alone(out, name):
    out.mkdir()
    (out / name).write_bytes(b"precious")
    with pytest.raises(ConfigError, match=re.escape(name)):
        run(plan(out))
    assert (out / name).read_bytes() == b"precious"


def test_a_file_where_the_folder_should_be_is_refused(out):
    out.write_text("x")
    with pytest.raises(ConfigError, match="is a file"):
        run(plan(out))


def test_a_folder_that_cannot_be_made_is_refused(out):
    out.write_text("x")
    with pytest.raises(ConfigError, match="cannot be made"):
        run(plan(out / "inner"))


@pytest.mark.parametrize(("form", "suffix"), [("csv", ".csv"), ("jsonl", ".jsonl")])
def test_text_files_hold_the_same_rows_and_are_kept_by_the_next_run(out, form, suffix):
    run(plan(out, form=form))
    shown = sorted(path.name for path in out.iterdir() if not path.name.startswith("."))
    assert shown == [SUCCESS, *(f"part-{n:05}{suffix}" for n in range(3))]
    read = pl.read_csv(out / "part-00001.csv") if form == "csv" else pl.read_ndjson(out / "part-00001.jsonl")
    assert read.columns == OUTPUT_SCHEMA.names()
    assert read.select("user_id", "rank", "item_id").rows() == [
        ("u2", 1, "a"),
        ("u2", 2, "b"),
        ("u3", 1, "a"),
        ("u3", 2, "b"),
    ]
    assert read["as_of"].unique().to_list() == ["2020-01-01T00:00:00.000000Z"]
    before = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    assert len(run(plan(out, form=form))) == 3
    assert {path.name: path.stat().st_mtime_ns for path in out.iterdir()} == before


@pytest.mark.parametrize("form", ["csv", "jsonl"])
@pytest.mark.parametrize("damage", ["cut off", "without its record"])
def test_a_text_file_that_cannot_be_believed_is_made_again(out, form, damage):
    run(plan(out, form=form))
    part = out / f"part-00001.{form}"
    if damage == "cut off":
        part.write_bytes(part.read_bytes()[:-10])
    else:
        (out / f".part-00001.{form}.json").unlink()
    assert sorted(run(plan(out, form=form))) == [0, 2]
    assert orjson.loads((out / SUCCESS).read_bytes())["rows"] == 10


def test_another_format_leaves_nothing_of_the_one_before(out):
    for form in ("csv", "jsonl", "parquet"):
        run(plan(out, form=form))
        assert [path.name for path, _ in partition_files(out)] == [f"part-{number:05}.{form}" for number in range(3)]
    assert sorted(path.name for path in out.iterdir()) == [SUCCESS, *(f"part-{n:05}.parquet" for n in range(3))]


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_a_partition_in_which_nobody_got_anything_is_a_finished_one(out, form):
    [partition], sink = plan(out, form=form).partitions(PEOPLE), PartitionSink(out, form)
    sink.prepare([partition])
    written = sink.write(partition, frame([]), 2)
    assert sink.prepare([partition]) == {0: written}
    assert orjson.loads(sink.succeed([written], {}).read_bytes())["rows"] == 0
