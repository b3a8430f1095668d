"""What training sees of a workspace: the log up to a position, nothing after it."""

import polars as pl
import pytest

from recsys.data.canonical import with_event_ids
from recsys.data.imported import ImportedData
from recsys.data.schema import EventMeaning, WorkspaceSchema
from recsys.errors import DataError
from recsys.jobs.ingest import ingest
from recsys.training.dataset import Dataset
from recsys.workspace import Workspace

SCHEMA = WorkspaceSchema(
    name="w", events=EventMeaning(negative=("dislike",)), user_columns={"age": "numeric", "likes": "list"}
)


def imported(*events, users=(), items=(), schema=SCHEMA) -> ImportedData:
    """Events as (user, item, time[, kind]), users as (user, age), items as (item, genre)."""
    types = {"user_id": pl.String, "item_id": pl.String, "occurred_at": pl.Int64, "event": pl.String}
    frame = pl.DataFrame([(*event, None)[:4] for event in events], schema=types, orient="row")
    known = [{"user_id": user, "age": age, "likes": ["x"]} for user, age in users]
    return ImportedData(
        source="by hand",
        events=with_event_ids(frame.with_columns(value=pl.lit(1.0, pl.Float32))),
        users=pl.DataFrame(known, schema=schema.users_frame_schema()),
        items=pl.DataFrame(list(items), schema=schema.items_frame_schema(), orient="row"),
        schema=schema,
    )


@pytest.fixture
def workspace() -> Workspace:
    made = Workspace.named("w")
    ingest(
        made,
        imported(("b", "x", 5), ("a", "y", 2), ("a", "x", 1), ("c", "z", 1, "dislike"), users=[("a", 30), ("c", 9)]),
    )
    return made


def test_users_and_items_are_those_of_positive_events(workspace):
    dataset = Dataset.load(workspace)
    assert dataset.sequences.user_ids == ("a", "b")
    assert dataset.vocabulary == ("x", "y")
    assert dataset.sequences.items.tolist() == [1, 2, 1]
    assert dataset.log_position == 4


def test_profiles_are_in_the_order_of_the_sequences_and_missing_ones_are_missing(workspace):
    dataset = Dataset.load(workspace)
    encoding = dataset.profile_encoding()
    assert dataset.encoded_profiles(encoding).tolist() == encoding.encode([{"age": 30, "likes": ["x"]}, {}]).tolist()


def test_later_events_are_invisible_up_to_a_position(workspace):
    before = Dataset.load(workspace)
    ingest(workspace, imported(("a", "q", 1), ("d", "x", 9), users=[("d", 50)]))
    again, now = Dataset.load(workspace, upto=before.log_position), Dataset.load(workspace)
    assert again.vocabulary == before.vocabulary
    assert again.fingerprint() == before.fingerprint()
    assert now.vocabulary == ("q", "x", "y")
    assert now.fingerprint() != before.fingerprint()


def test_the_fingerprint_tells_a_changed_profile_and_a_changed_meaning(workspace):
    before = Dataset.load(workspace).fingerprint()
    ingest(workspace, imported(users=[("c", 77)]))
    assert Dataset.load(workspace).fingerprint() == before, "nobody trains on a user without a positive event"
    ingest(workspace, imported(users=[("a", 31)]))
    profile = Dataset.load(workspace).fingerprint()
    WorkspaceSchema(name="w", user_columns=SCHEMA.user_columns).save(workspace.schema_file)
    assert len({before, profile, Dataset.load(workspace).fingerprint()}) == 3


def test_what_the_catalogue_says_of_items_is_read_and_a_change_of_it_is_told():
    schema = WorkspaceSchema(name="films", item_columns={"genre": "categorical"})
    workspace = Workspace.named("films")
    events = [("a", "x", 1), ("a", "y", 2), ("b", "z", 3)]
    ingest(workspace, imported(*events, items=[("x", "war"), ("y", "war"), ("q", "war")], schema=schema))
    before = Dataset.load(workspace)
    assert before.attributes.names == ("genre=war",)
    assert before.attributes.matrix().toarray().ravel().tolist() == [1, 1, 0], "x, y, z; nobody touched q"
    ingest(workspace, imported(items=[("z", "war")], schema=schema))
    after = Dataset.load(workspace)
    assert after.attributes.matrix().toarray().ravel().tolist() == [1, 1, 1]
    assert after.fingerprint() != before.fingerprint()


def test_without_a_positive_event_there_is_nothing_to_train_on():
    workspace = Workspace.named("gloomy")
    ingest(workspace, imported(("a", "x", 1, "dislike"), ("b", "x", 2, "dislike")))
    with pytest.raises(DataError, match="no positive event"):
        Dataset.load(workspace)


def test_a_workspace_without_profile_columns_has_profiles_of_no_width():
    workspace = Workspace.named("plain")
    ingest(workspace, imported(("a", "x", 1), ("b", "x", 2), schema=WorkspaceSchema(name="plain")))
    dataset = Dataset.load(workspace)
    assert dataset.encoded_profiles(dataset.profile_encoding()).shape == (2, 0)
