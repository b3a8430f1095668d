"""Offline parts and small files are whole or not there."""

import polars as pl
import pytest

from recsys.context.parts import replace_parts, write_text


def test_a_new_part_replaces_the_older_ones(tmp_path):
    folder = tmp_path / "rows"
    replace_parts(folder, pl.DataFrame({"x": [1]}))
    part = replace_parts(folder, pl.DataFrame({"x": [2, 3]}))
    assert list(folder.iterdir()) == [part]
    assert pl.read_parquet(part)["x"].to_list() == [2, 3]


def test_a_failed_write_leaves_the_older_part_and_no_debris(tmp_path, monkeypatch):
    part = replace_parts(tmp_path, pl.DataFrame({"x": [1]}))

    def full_disk(frame, path, **_):
        path.write_bytes(b"PAR1")
        raise OSError("no space left on device")

    monkeypatch.setattr(pl.DataFrame, "write_parquet", full_disk)
    with pytest.raises(OSError, match="no space"):
        replace_parts(tmp_path, pl.DataFrame({"x": [2]}))
    assert list(tmp_path.iterdir()) == [part]


def test_text_replaces_text(tmp_path):
    path = tmp_path / "deep" / "file.yaml"
    write_text(path, "one")
    write_text(path, "zwö")
    assert path.read_text(encoding="utf-8") == "zwö"
    assert list(path.parent.iterdir()) == [path]
