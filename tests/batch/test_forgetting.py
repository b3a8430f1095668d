"""Users who go are in no list, and the numbers of `_SUCCESS` are those of the files, whatever was interrupted."""

from contextlib import nullcontext

import orjson
import polars as pl
import pytest

from recsys.batch import forgetting
from recsys.batch.forgetting import forget_users
from recsys.batch.formats import FORMATS, OUTPUT_SCHEMA
from recsys.batch.plan import Partition
from recsys.batch.sink import PartitionSink


@pytest.fixture
def lists(tmp_path):
    """A batch's folder with two partitions."""
    parts = []
    for number, users in enumerate((["ann", "gone"], ["bob"])):
        file = f"part-{number:05}.parquet"
        pl.DataFrame({"user_id": users}).write_parquet(tmp_path / file)
        parts.append({"file": file, "rows": len(users), "users": len(users)})
    (tmp_path / "_SUCCESS").write_bytes(orjson.dumps({"k": 1, "rows": 3, "partitions": parts}))
    return tmp_path


def counted(folder):
    manifest = orjson.loads((folder / "_SUCCESS").read_bytes())
    return manifest["rows"], [part["rows"] for part in manifest["partitions"]]


def test_who_goes_is_in_no_list_and_in_no_number(lists):
    assert forget_users(lists, ["gone"], nullcontext) == 1
    assert pl.read_parquet(lists / "*.parquet")["user_id"].to_list() == ["ann", "bob"]
    assert counted(lists) == (2, [1, 1])


def test_numbers_that_an_interrupted_call_left_behind_are_mended(lists, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(forgetting, "replace_file", killed)
        with pytest.raises(KeyboardInterrupt):
            forget_users(lists, ["gone"], nullcontext)
    assert counted(lists) == (3, [2, 1])
    assert forget_users(lists, ["gone"], nullcontext) == 0
    assert counted(lists) == (2, [1, 1])


def test_what_an_interrupted_deletion_left_half_written_goes(lists):
    (lists / "part-00000.8f3a.writing").write_bytes(b"ann and what was recommended to her")
    forget_users(lists, ["gone"], nullcontext)
    assert sorted(path.name for path in lists.iterdir()) == ["_SUCCESS", "part-00000.parquet", "part-00001.parquet"]


def test_a_manifest_that_is_true_is_left_alone(lists):
    before = (lists / "_SUCCESS").read_bytes()
    forget_users(lists, ["nobody"], nullcontext)
    assert (lists / "_SUCCESS").read_bytes() == before


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_who_goes_is_in_no_text_file_and_what_is_left_is_still_a_finished_partition(tmp_path, form):
    sink, partition = PartitionSink(tmp_path, form), Partition(0, ("ann", "gone"), "key", f".{form}")
    rows = [(user, 1, "a", 0.5, "1", None) for user in partition.user_ids]
    sink.prepare([partition])
    written = sink.write(partition, pl.DataFrame(rows, schema=OUTPUT_SCHEMA, orient="row"), 0)
    sink.succeed([written], {})
    assert forget_users(tmp_path, ["gone"], nullcontext) == 1
    assert b"gone" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert FORMATS[form].scan(tmp_path / partition.file).collect()["user_id"].to_list() == ["ann"]
    assert counted(tmp_path) == (1, [1])
    assert list(sink.prepare([partition])) == [0]
