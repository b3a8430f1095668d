"""The fold of one user's events without a frame is the fold, to the last bit, whatever the events and the schema."""

from __future__ import annotations

import math

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from recsys.data.categories import ItemCategories
from recsys.data.schema import EventMeaning, WorkspaceSchema
from recsys.events.derived import LOGARITHM_PARTS
from recsys.events.fold import fold
from recsys.events.log import LOG_SCHEMA
from recsys.events.one_user import OwnEvent, fold_user

ITEM_COLUMNS = {"kinds": "list", "maker": "categorical"}
ITEMS = pl.DataFrame(
    {"item_id": list("abcd"), "kinds": [["x", "y", "x"], None, ["y", ""], ["ü", "x"]], "maker": ["m", "n", None, "m"]},
    schema=WorkspaceSchema(name="shop", item_columns=ITEM_COLUMNS).items_frame_schema(),
)
TIMES = st.one_of(st.integers(-3, 3), st.integers(0, 400 * 86_400_000_000))
float32 = st.floats(width=32, allow_nan=False, allow_infinity=False, min_value=-1e6, max_value=1e6)
events = st.lists(
    st.tuples(
        st.sampled_from("abcde"),
        TIMES,
        st.sampled_from(["buy", "view", "skip", "hover", None]),
        st.one_of(st.none(), float32),
        st.integers(0, 100_000),
    ),
    min_size=1,
    max_size=30,
)
meanings = st.builds(
    EventMeaning,
    positive=st.sampled_from([None, ("buy",), ("buy", "view")]),
    negative=st.sampled_from([(), ("skip",)]),
    weights=st.sampled_from([{}, {"buy": 2.5, "view": 0.1}]),
    min_value=st.sampled_from([None, 0.1, 3.3]),
)


@given(
    some=events,
    times=st.sampled_from([1, 8]),
    meaning=meanings,
    clock=st.booleans(),
    items_repeat=st.booleans(),
    described=st.booleans(),
)
def test_one_users_events_are_folded_as_in_a_frame(some, times, meaning, clock, items_repeat, described):
    rows = some * times
    schema = WorkspaceSchema(
        name="shop",
        clock=clock,
        repeats=items_repeat,
        events=meaning,
        item_columns=ITEM_COLUMNS if described else {},
    )
    categories = ItemCategories.of(ITEMS, schema) if described else ItemCategories.none()
    log = pl.DataFrame(
        [(n, str(n), "u", item, at, 0, event, value, seen) for n, (item, at, event, value, seen) in enumerate(rows, 1)],
        schema=LOG_SCHEMA,
        orient="row",
    )
    own = [OwnEvent(n, *event) for n, event in enumerate(rows, 1)]

    [expected] = fold(log, schema, categories).drop("user_id", "effective_at").to_dicts()

    folded = fold_user(own, schema, categories.by_item)
    assert {name: list(v) if isinstance(v, tuple) else v for name, v in folded.items()} == expected


def test_both_folds_take_logarithms_alike():
    """They come from two libraries, and a last bit could tip a whole part."""
    before = pl.Series(range(300_000), dtype=pl.Int64)
    in_a_frame = (before.cast(pl.Float64).log1p() * LOGARITHM_PARTS).round().cast(pl.Int64).to_list()
    assert in_a_frame == [round(math.log1p(number) * LOGARITHM_PARTS) for number in before]
