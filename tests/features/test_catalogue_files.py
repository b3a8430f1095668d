"""The catalogue's files are replaced while they are read: each read sees one state of a file, old or new."""

from __future__ import annotations

import polars as pl
import pytest

from recsys.context import catalogue_files
from recsys.context.catalogue_files import next_user_ids, read_catalogue_file

TYPES = pl.Schema({"user_id": pl.String(), "age": pl.Float64()})


def users(number: int) -> pl.DataFrame:
    return pl.DataFrame({"user_id": [f"u{n:05}" for n in range(number)], "age": [float(n) for n in range(number)]})


@pytest.fixture
def replaced_while_read(tmp_path, monkeypatch):
    """A file that is another one as soon as somebody has seen what it holds."""
    path = tmp_path / "users.parquet"
    users(20_000).write_parquet(path)
    scan = pl.scan_parquet

    def scan_then_replace(source):
        opened = scan(source)
        opened.collect_schema()
        users(3).write_parquet(tmp_path / "newer")
        (tmp_path / "newer").replace(path)
        return opened

    monkeypatch.setattr(catalogue_files.pl, "scan_parquet", scan_then_replace)
    return path


def test_profiles_are_of_the_file_that_was_opened(replaced_while_read):
    wanted = pl.DataFrame({"user_id": ["u00001", "u19999"]})
    assert read_catalogue_file(replaced_while_read, TYPES, wanted).rows() == [("u00001", 1.0), ("u19999", 19_999.0)]
    assert read_catalogue_file(replaced_while_read, TYPES, wanted).rows() == [("u00001", 1.0)]


def test_the_next_users_are_of_the_file_that_was_opened(replaced_while_read):
    assert next_user_ids(replaced_while_read, "u19997", 5) == ["u19998", "u19999"]


def test_nobody_is_asked_for_and_nobody_found(tmp_path):
    path = tmp_path / "users.parquet"
    users(3).write_parquet(path)
    assert read_catalogue_file(path, TYPES, pl.DataFrame(schema={"user_id": pl.String})).height == 0
