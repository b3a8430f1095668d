import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.durable import canonical_json, new_folder, replace_file

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def test_canonical_json_is_compact_sorted_and_keeps_every_digit():
    value = {"b": (1, 0.1), "a": {"ü": None, "big": 1e16, "third": 1 / 3}}
    assert canonical_json(value) == '{"a":{"big":1e+16,"third":0.3333333333333333,"ü":null},"b":[1,0.1]}\n'.encode()


@given(st.dictionaries(st.text(), JSON, max_size=6))
@settings(max_examples=40)
def test_canonical_json_does_not_depend_on_the_order_of_keys(value):
    assert canonical_json(value) == canonical_json(dict(reversed(value.items())))


@pytest.mark.parametrize(
    ("value", "where"),
    [
        ({"loss": [0.1, float("nan")]}, r"\$\.loss\[1\] is nan"),
        ({"loss": float("-inf")}, r"\$\.loss is -inf"),
        ({"a": {1: "x"}}, r"\$\.a has the key 1"),
        ({"a": np.float32(1.5)}, r"\$\.a is a float32"),
        ({"a": {1, 2}}, r"\$\.a is a set"),
    ],
)
def test_canonical_json_says_where_it_cannot_keep_a_value(value, where):
    with pytest.raises(ValueError, match=where):
        canonical_json(value)


def test_a_replaced_file_is_old_or_new_when_the_write_fails(tmp_path, monkeypatch):
    path = tmp_path / "champion.json"
    replace_file(path, b"old")

    def broken(descriptor: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="disk full"):
        replace_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir() if entry.is_file()] == ["champion.json"]


def test_a_folder_whose_filling_fails_never_appears(tmp_path):
    def fill() -> None:
        with new_folder(tmp_path / "made" / "folder") as unfinished:
            (unfinished / "file").write_text("half")
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        fill()
    assert list((tmp_path / "made").iterdir()) == []


def test_a_folder_is_never_replaced_by_a_second_writer(tmp_path):
    with new_folder(tmp_path / "folder") as first:
        (first / "file").write_text("first")
    with pytest.raises(FileExistsError), new_folder(tmp_path / "folder") as second:
        (second / "file").write_text("second")
    assert (tmp_path / "folder" / "file").read_text() == "first"
