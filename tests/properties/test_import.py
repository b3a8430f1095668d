"""Whatever a folder holds, an import gives canonical data or one clear DataError, never anything else."""

from __future__ import annotations

import tempfile
from datetime import date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recsys.data.border import check_imported
from recsys.data.column_types import infer_type, typed
from recsys.data.importer import read_folder
from recsys.data.schema import COLUMN_TYPES, polars_type
from recsys.errors import DataError

NOW = 1_700_000_000.0
ROWS = 6

texts = st.sampled_from(["", " ", "a", "7", "7.0", "007", "NaN", "a|b", "2020-01-01", "2020-01-01T10:00:00Z", 'é\n,"'])
cells = [
    (pl.Int64, st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 2_000_000_000)),
    (pl.UInt64, st.integers(0, 2**64 - 1)),
    (pl.Int8, st.integers(-128, 127)),
    (pl.Float64, st.floats() | st.integers(-5, 5).map(float)),
    (pl.Float32, st.floats(width=32)),
    (pl.String, texts),
    (pl.Categorical, texts),
    (pl.Boolean, st.booleans()),
    (pl.Date, st.dates(date(1, 1, 1), date(9999, 1, 1))),
    (pl.Datetime("us"), st.datetimes(datetime(1, 1, 1), datetime(9999, 1, 1))),
    (pl.Duration, st.just(timedelta(1))),
    (pl.Binary, st.binary(max_size=2)),
    (pl.List(pl.Int64), st.lists(st.integers(0, 5) | st.none(), max_size=2)),
    (pl.List(pl.String), st.lists(texts | st.none(), max_size=2)),
    (pl.List(pl.Float64), st.lists(st.floats() | st.none(), max_size=2)),
    (pl.Struct({"a": pl.Int64}), st.fixed_dictionaries({"a": st.integers(0, 5)})),
    (pl.Null, st.none()),
]


@st.composite
def columns(draw):
    dtype, values = draw(st.sampled_from(cells))
    return pl.Series(draw(st.lists(st.none() | values, min_size=ROWS, max_size=ROWS)), dtype=dtype)


def tables(*names):
    """Few odd columns at a time, so that many folders can be used after all."""
    return st.dictionaries(st.sampled_from(names), columns(), max_size=2)


USERS = {"user_id": pl.Series(list("aabbcc"))}
ITEMS = {"item_id": pl.Series([1, 2, 3, 1, 2, 3])}
TIMESTAMP = {"timestamp": pl.Series(range(1_600_000_000, 1_600_000_000 + ROWS))}
POSITION = {"position": pl.Series(range(ROWS))}


@pytest.mark.slow
@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(
    events=tables("user_id", "item_id", "timestamp", "position", "rating", "event", "other"),
    users=tables("user_id", "one", "two", "three"),
    items=tables("item_id", "title", "other", "another"),
    clock=st.booleans(),
)
def test_any_folder_is_imported_or_refused(events, users, items, clock):
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        when = TIMESTAMP if clock else POSITION
        pl.DataFrame(USERS | ITEMS | when | events).write_parquet(folder / "events.parquet")
        pl.DataFrame(USERS | users).write_parquet(folder / "users.parquet")
        pl.DataFrame(ITEMS | items).write_parquet(folder / "items.parquet")
        try:
            imported = read_folder(folder, now=NOW)
        except DataError:
            return
    check_imported(imported)
    assert (imported.events["occurred_at"] > 0).all()
    assert imported.events["occurred_at"].is_sorted()
    counted = sum(t.rows for t in imported.treatments if t.file == "events.parquet" and t.done.startswith("dropped"))
    assert counted + imported.events.height == ROWS


@given(values=columns(), column_type=st.sampled_from(COLUMN_TYPES))
def test_any_column_takes_its_type_or_says_why_not(values, column_type):
    converted, wrong = typed(values, column_type)
    if wrong is None:
        assert converted.dtype == polars_type(column_type)
        assert converted.len() == values.len()


@given(values=columns())
def test_an_inferred_type_always_fits(values):
    inferred = infer_type(values)
    if inferred is not None:
        assert typed(values, inferred)[1] is None
