"""The public benchmark folders come in through the ordinary import. Skipped where they are not at hand."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from recsys.data.importer import read_folder

PLACE = Path(os.environ.get("RECSYS_BENCHMARK_DATA") or Path(__file__).parents[3] / "shared" / "data")


def brought(name):
    if not (PLACE / name / "events.parquet").is_file():
        pytest.skip(f"no {name} in {PLACE}; set RECSYS_BENCHMARK_DATA to the folder that holds it")
    return read_folder(PLACE / name)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "users", "items", "events"),
    [("beauty", 22_363, 12_101, 198_502), ("toys", 19_412, 11_924, 167_597)],
)
def test_amazon_data(name, users, items, events):
    imported = brought(name)
    assert imported.events.height == events
    assert imported.events["user_id"].n_unique() == users
    assert imported.events["item_id"].n_unique() == items
    assert imported.schema.clock is False
    assert imported.schema.repeats is False
    assert imported.schema.item_columns == {"attributes": "list"}
    assert imported.treatments == ()


@pytest.mark.slow
def test_movielens_1m():
    imported = brought("ml-1m")
    assert imported.events.height == 999_611
    assert imported.events["user_id"].n_unique() == 6_040
    assert list(imported.schema.user_columns) == ["gender", "age", "occupation", "zip_code"]
    assert set(imported.schema.user_columns.values()) == {"categorical"}
    assert imported.schema.item_columns == {"title": "text", "genres": "list"}
    assert imported.schema.title == "title"
