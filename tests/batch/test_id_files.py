"""Ids come out of people's own files in order, a block at a time; a file that cannot be used says why."""

import tracemalloc

import polars as pl
import pytest

from recsys.batch.id_files import id_blocks
from recsys.batch.user_list import UserList
from recsys.errors import DataError


def ids(path, column="user_id", block=2):
    blocks = list(id_blocks(path, column, block))
    assert max(map(len, blocks)) <= block
    return [one for block in blocks for one in block]


@pytest.mark.parametrize("name", ["users.parquet", "users.csv", "users.txt"])
def test_ids_come_in_the_files_order(tmp_path, name):
    path = tmp_path / name
    if name.endswith("parquet"):
        pl.DataFrame({"age": [1, 2, 3], "user_id": [7, 3, 7]}).write_parquet(path)
    else:
        path.write_text("age,user_id\n1,7\n2,3\n\n3,7\n" if name.endswith("csv") else "7\n3\n\n7\n")
    assert ids(path) == ["7", "3", "7"]


@pytest.mark.parametrize(("name", "content"), [("users.csv", "user_id\n7\n3\n"), ("users.txt", "7\n3\n")])
def test_the_mark_that_spreadsheets_put_before_the_first_byte_belongs_to_no_id(tmp_path, name, content):
    (tmp_path / name).write_text(content, encoding="utf-8-sig")
    assert ids(tmp_path / name) == ["7", "3"]


def test_leading_zeros_quotes_and_other_columns_are_no_trouble(tmp_path):
    (tmp_path / "items.csv").write_text('title,item_id\n"a, ""b""",007\nc,"x,y"\n')
    assert ids(tmp_path / "items.csv", "item_id") == ["007", "x,y"]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("users.csv", "id\n7\n", r"no column user_id \(it has: id\)"),
        ("users.csv", "", "no column user_id"),
        ("users.csv", "user_id,x\n7,1\n,2\n", "empty user_id"),
        ("users.csv", "x,user_id\n1,7\n2\n", "empty user_id"),
        ("users.csv", "user_id\n", "holds no user_id"),
        ("users.txt", "\n\n", "holds no user_id"),
        ("users.txt", b"\xff\xfe", "cannot be read"),
        ("users.parquet", "no parquet", "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(tmp_path, name, content, says):
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=says):
        ids(tmp_path / name)


def test_a_parquet_file_with_nulls_or_without_the_column_says_so(tmp_path):
    pl.DataFrame({"user_id": ["a", None], "x": [1, 2]}).write_parquet(tmp_path / "users.parquet")
    with pytest.raises(DataError, match="empty user_id"):
        ids(tmp_path / "users.parquet")
    with pytest.raises(DataError, match=r"no column item_id \(it has: user_id, x\)"):
        ids(tmp_path / "users.parquet", "item_id")


def test_a_file_that_is_not_there_says_so(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        ids(tmp_path / "none.txt")


def test_a_list_keeps_each_user_once_in_the_order_of_the_first_time():
    users = UserList.of([["b", "a", "b"], ["c", "a"]])
    assert len(users) == 3
    assert list(users.blocks(2)) == [("b", "a"), ("c",)]
    assert users.digest == UserList.of([["b", "a", "c"]]).digest
    assert users.digest != UserList.of([["a", "b", "c"]]).digest


def test_four_times_as_many_users_take_no_more_memory():
    def most(users):
        blocks = ([f"user-{start + n}" for n in range(1_000)] for start in range(0, users, 1_000))
        tracemalloc.start()
        people = UserList.of(blocks)
        assert sum(len(block) for block in people.blocks(1_000)) == users
        assert people.digest
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    most(1_000)
    assert most(80_000) < 1.2 * most(20_000)
