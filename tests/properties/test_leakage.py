"""No context knows what was not received yet, or did not happen before its moment, of any user whatsoever.

Whoever deletes all such events from the log, of everybody, gets the same bytes: numbers that are kept with an event
are counted anew in the log without them.
"""

from __future__ import annotations

from dataclasses import fields

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.context.encoder import ContextEncoder
from recsys.context.folding import RowFolder
from recsys.context.profile import ProfileEncoding
from recsys.context.rows import feature_rows
from recsys.data.canonical import EVENT_SCHEMA
from recsys.data.schema import EventMeaning, WorkspaceSchema
from recsys.events.log import EventLog
from recsys.jobs.materialise import materialise
from recsys.workspace import Workspace

USERS, ITEMS = ("ann", "bob"), ("a", "b", "c")
FILLER = "nobody"
SCHEMA = WorkspaceSchema(
    name="shop",
    repeats=True,
    events=EventMeaning(negative=("dislike",)),
    user_columns={"age": "numeric"},
    item_columns={"genre": "list"},
)
ENCODER = ContextEncoder(ITEMS, ProfileEncoding.fit([{"age": 1.0}, {"age": 3.0}], SCHEMA.user_columns, min_count=1))

event = st.tuples(
    st.sampled_from(USERS), st.sampled_from(ITEMS), st.integers(1, 9), st.sampled_from([None, None, "dislike"])
)
events = st.lists(event, min_size=1, max_size=14)


def workspace_with(home, rows) -> Workspace:
    """One event a row; None leaves its place in the log to an event that has nothing to do with anybody else's."""
    workspace = Workspace(name="shop", home=home)
    SCHEMA.save(workspace.schema_file)
    workspace.users_file.parent.mkdir(parents=True)
    pl.DataFrame({"user_id": ["ann"], "age": [2.0]}).write_parquet(workspace.users_file)
    items = {"item_id": ["a", "b"], "genre": [["x", "y"], ["y"]]}
    pl.DataFrame(items, schema=SCHEMA.items_frame_schema()).write_parquet(workspace.items_file)
    filled = [(f"e{n}", *(row or (FILLER, FILLER, 1, None)), 1.0) for n, row in enumerate(rows)]
    for one in filled:
        EventLog(workspace.event_log).append(pl.DataFrame([one], schema=EVENT_SCHEMA, orient="row"), received_at=0)
    return workspace


def known_before(rows, user, moment):
    """The rows without what is not before the moment; ties of the user's own events push the later ones back."""
    order = sorted((at, n) for n, (who, _, at, _) in enumerate(rows) if who == user)
    effective, last = {}, None
    for at, n in order:
        last = at if last is None else max(at, last + 1)
        effective[n] = last
    return [row if effective.get(n, row[2]) < moment else None for n, row in enumerate(rows)]


def as_bytes(row):
    """A feature row to the last bit of every number, and the tensors that the model reads."""
    batch = ENCODER.encode([row])
    return repr(row), [getattr(batch, field.name).numpy().tobytes() for field in fields(batch)]


def read(folder, user, moment, upto):
    asked = pl.DataFrame({"user_id": [user], "effective_at": [moment]})
    return feature_rows(folder.before(asked, upto=upto).to_dict(as_series=False), SCHEMA)


@pytest.mark.slow
@settings(max_examples=40)
@given(rows=events, user=st.sampled_from(USERS), moment=st.integers(1, 12), received=st.integers(1, 14))
def test_a_context_is_the_same_without_all_that_came_later(tmp_path_factory, rows, user, moment, received):
    received = min(received, len(rows))
    whole = RowFolder.of(workspace_with(tmp_path_factory.mktemp("whole"), rows), SCHEMA)
    rest = known_before(rows[:received], user, moment)
    reduced = RowFolder.of(workspace_with(tmp_path_factory.mktemp("reduced"), rest), SCHEMA)
    found = [as_bytes(row) for row in read(whole, user, moment, received)]
    kept = [as_bytes(row) for row in read(reduced, user, moment, received)]
    assert kept == found[: len(kept)]
    assert len(kept) == len(found) or not any(row is not None and row[0] == user for row in rest)
    for folder in (whole, reduced):
        folder.log.close()


@pytest.mark.slow
def test_what_feast_reads_as_of_a_moment_is_the_same_without_all_that_came_later(tmp_path):
    from recsys.context.reader import FeastReader

    rows = [(USERS[n % 2], ITEMS[n * n % 3], 1 + n * 7 % 10, "dislike" if n % 5 == 4 else None) for n in range(24)]
    workspace = workspace_with(tmp_path / "whole", rows)
    materialise(workspace)
    reader = FeastReader(workspace, SCHEMA)
    for user in USERS:
        for moment in range(1, 14, 2):
            rest = workspace_with(tmp_path / f"{user}{moment}", known_before(rows, user, moment))
            expected = read(RowFolder.of(rest, SCHEMA), user, moment, None)
            found = reader.as_of([user], [moment])
            assert [as_bytes(row) for row in found][: len(expected)] == [as_bytes(row) for row in expected]
