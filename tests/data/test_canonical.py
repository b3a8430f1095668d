"""An event's id follows from its content: equal rows share it, no two different rows do."""

from __future__ import annotations

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from recsys.columns import EVENT_ID
from recsys.data.canonical import EVENT_SCHEMA, drop_duplicates, with_event_ids

# Few and confusable: separators, digits, an empty text beside a missing one, values beside their absence.
ids = st.sampled_from(["1", "1:1", "11", "1|1", "|", "1:11|", "é"])
rows = st.lists(
    st.tuples(
        ids,
        ids,
        st.sampled_from([1, 11, -1]),
        st.sampled_from([None, "", "1", "-", "|1", "1|"]),
        st.sampled_from([None, 1.0, 11.0, -1.0]),
    ),
    min_size=1,
    max_size=30,
)


def frame_of(content):
    types = {name: dtype for name, dtype in EVENT_SCHEMA.items() if name != EVENT_ID}
    return pl.DataFrame(content, schema=types, orient="row")


@given(content=rows)
def test_ids_are_equal_exactly_where_rows_are(content):
    with_ids = with_event_ids(frame_of(content))
    assert with_ids.schema == EVENT_SCHEMA
    assert with_ids[EVENT_ID].n_unique() == len(set(content))
    assert with_ids.group_by(EVENT_ID).len().height == drop_duplicates(frame_of(content)).height


@given(content=rows)
def test_an_id_does_not_depend_on_the_rows_around_it(content):
    together = with_event_ids(frame_of(content))[EVENT_ID].to_list()
    assert together == [with_event_ids(frame_of([row]))[EVENT_ID][0] for row in content]


def test_ids_never_change_between_versions():
    assert with_event_ids(frame_of([("u", "i", 5, None, 1.0)]))[EVENT_ID][0] == "7200af127783597a2ae3f171c1803fa7"
