"""Offline parts are whole or not there."""

import polars as pl
import pytest

from recsys.context.parts import remove_users, replace_parts
from recsys.errors import LeaseError


def test_a_new_part_replaces_the_older_ones(tmp_path):
    folder = tmp_path / "rows"
    replace_parts(folder, [pl.DataFrame({"x": [1]})])
    [part] = replace_parts(folder, [pl.DataFrame({"x": [2, 3]})])
    assert list(folder.iterdir()) == [part]
    assert pl.read_parquet(part)["x"].to_list() == [2, 3]


def test_a_failed_write_leaves_the_older_part_and_no_debris(tmp_path, monkeypatch):
    [part] = replace_parts(tmp_path, [pl.DataFrame({"x": [1]})])

    def full_disk(frame, path, **_):
        path.write_bytes(b"PAR1")
        raise OSError("no space left on device")

    monkeypatch.setattr(pl.DataFrame, "write_parquet", full_disk)
    with pytest.raises(OSError, match="no space"):
        replace_parts(tmp_path, [pl.DataFrame({"x": [2]})])
    assert list(tmp_path.iterdir()) == [part]


def test_users_rows_leave_a_file_and_everything_else_in_it_stays(tmp_path):
    file = tmp_path / "part.parquet"
    pl.DataFrame({"user_id": ["a", "b", "a"], "x": [1, 2, 3]}).write_parquet(file, metadata={"recsys.key": "k"})
    assert remove_users(file, ["a", "nobody"]) == 2
    assert pl.read_parquet(file).to_dict(as_series=False) == {"user_id": ["b"], "x": [2]}
    assert pl.read_parquet_metadata(file)["recsys.key"] == "k"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("column", ["user_id", "item_id"])
def test_a_file_without_the_users_is_not_touched(tmp_path, column):
    file = tmp_path / "part.parquet"
    pl.DataFrame({column: ["x"]}).write_parquet(file)
    before = file.stat()
    assert remove_users(file, ["a"]) == 0
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_part_that_may_not_take_its_place_leaves_no_debris(tmp_path):
    def lost():
        raise LeaseError("somebody else has the lease")

    [part] = replace_parts(tmp_path, [pl.DataFrame({"user_id": ["a"]})])
    with pytest.raises(LeaseError):
        replace_parts(tmp_path, [pl.DataFrame({"user_id": ["b"]})], lost)
    with pytest.raises(LeaseError):
        remove_users(part, ["a"], lost)
    assert list(tmp_path.iterdir()) == [part]
    assert pl.read_parquet(part)["user_id"].to_list() == ["a"]


def test_several_parts_appear_together_and_none_when_one_cannot_be_made(tmp_path):
    [old] = replace_parts(tmp_path, [pl.DataFrame({"x": [1]})])

    def chunks(fail):
        for number in range(3):
            assert list(tmp_path.glob("*.parquet")) == [old]
            if fail and number == 2:
                raise ValueError("damaged catalogue")
            yield pl.DataFrame({"x": [number]})

    with pytest.raises(ValueError, match="damaged"):
        replace_parts(tmp_path, chunks(fail=True))
    assert list(tmp_path.iterdir()) == [old]
    parts = replace_parts(tmp_path, chunks(fail=False))
    assert sorted(tmp_path.iterdir()) == parts
    assert [pl.read_parquet(part)["x"].to_list() for part in parts] == [[0], [1], [2]]


def test_what_a_killed_writer_left_goes_with_the_next_replacement(tmp_path):
    (tmp_path / "rows-dead-000001.writing").write_bytes(b"PAR1")
    parts = replace_parts(tmp_path, [pl.DataFrame({"x": [1]})])
    assert list(tmp_path.iterdir()) == parts
