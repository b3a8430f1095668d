"""Users who go are in no list, and the numbers of `_SUCCESS` are those of the files, whatever was interrupted."""

from contextlib import nullcontext

import orjson
import polars as pl
import pytest

from recsys.batch import forgetting
from recsys.batch.forgetting import forget_users


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


def test_a_manifest_that_is_true_is_left_alone(lists):
    before = (lists / "_SUCCESS").read_bytes()
    forget_users(lists, ["nobody"], nullcontext)
    assert (lists / "_SUCCESS").read_bytes() == before
