"""Appending events to an existing workspace: a file of them, or one."""

from __future__ import annotations

import time

import polars as pl
import pytest

from recsys.data.schema import WorkspaceSchema
from recsys.errors import DataError
from recsys.events.log import EventLog
from recsys.events.outcomes import Outcomes
from recsys.jobs.append import append_event, append_file
from recsys.jobs.delete_users import delete_users
from recsys.jobs.ingest import ingest_folder
from recsys.jobs.summary import summarise
from recsys.workspace import Workspace


@pytest.fixture
def workspace(tmp_path):
    folder = tmp_path / "brought"
    folder.mkdir()
    pl.DataFrame({"user_id": [1], "item_id": ["x"], "timestamp": [10]}).write_parquet(folder / "events.parquet")
    target = Workspace.named("shop")
    ingest_folder(target, folder)
    return target


@pytest.fixture
def clockless(tmp_path):
    folder = tmp_path / "ordered"
    folder.mkdir()
    pl.DataFrame({"user_id": [1], "item_id": ["x"], "position": [0]}).write_parquet(folder / "events.parquet")
    target = Workspace.named("ordered")
    ingest_folder(target, folder)
    return target


def test_an_event_may_name_the_request_that_it_answers(workspace, tmp_path):
    append_event(workspace, {"user_id": "1", "item_id": "y", "request_id": "r-1"})
    pl.DataFrame(
        {"user_id": [1, 2, 3], "item_id": "z", "timestamp": 20, "request_id": ["r-2", None, "not an id"]}
    ).write_parquet(tmp_path / "more.parquet")
    result = append_file(workspace, tmp_path / "more.parquet")
    assert Outcomes(workspace.event_log).since(0)["request_id"].to_list() == [None, "r-1", "r-2", None, None]
    assert [(one.what, one.rows) for one in result.treatments] == [("rows with a request_id of another form", 1)]
    with pytest.raises(DataError, match="'request_id' is no id of a reply"):
        append_event(workspace, {"user_id": "1", "item_id": "y", "request_id": "not an id"})


def last(workspace):
    return EventLog(workspace.event_log).newest(1).row(0, named=True)


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl"])
def test_a_file_of_events_is_appended_once(workspace, tmp_path, suffix):
    frame = pl.DataFrame({"user_id": [1, 2], "item_id": ["x", "new"], "timestamp": [10, 20], "value": [1.0, 0.5]})
    path = tmp_path / f"more.{suffix}"
    {"csv": frame.write_csv, "parquet": frame.write_parquet, "jsonl": frame.write_ndjson}[suffix](path)
    result = append_file(workspace, path)
    assert (result.appended, result.already_there, result.position, result.unknown_items) == (1, 1, 2, 1)
    assert append_file(workspace, path).appended == 0


def test_odd_rows_of_a_file_are_treated_as_in_an_import(workspace, tmp_path):
    path = tmp_path / "more.csv"
    path.write_text("user_id,item_id,timestamp\n,x,5\n2,x,7\n2,x,7\n")
    result = append_file(workspace, path)
    assert result.appended == 1
    assert [(t.what, t.rows) for t in result.treatments] == [
        ("rows with an empty or missing user_id", 1),
        ("duplicate rows", 1),
    ]


@pytest.mark.parametrize(
    ("name", "content", "wrong"),
    [
        ("none.csv", None, "There is no file"),
        ("more.txt", "x", "must end in one of"),
        ("more.csv", "", "the file is empty"),
        ("more.jsonl", "{not json", "cannot be read as jsonl"),
        ("more.csv", "user_id,item\n1,2\n", "the column 'item_id' is missing"),
        ("more.csv", "user_id,item_id,position\n1,2,3\n", "the workspace has a clock"),
        ("more.csv", "user_id,item_id,timestamp\n1,2,0\n", "no row of 1 can be used"),
    ],
)
def test_a_file_that_cannot_be_used_is_explained(workspace, tmp_path, name, content, wrong):
    path = tmp_path / name
    if content is not None:
        path.write_text(content)
    with pytest.raises(DataError) as caught:
        append_file(workspace, path)
    assert wrong in str(caught.value)
    assert EventLog(workspace.event_log).position() == 1


def test_one_event_happens_now_unless_it_says_when(workspace):
    before = time.time_ns() // 1000
    append_event(workspace, {"user_id": 7, "item_id": "x", "value": 4, "event": "buy"})
    event = last(workspace)
    assert (event["user_id"], event["item_id"], event["value"], event["event"]) == ("7", "x", 4.0, "buy")
    assert before <= event["occurred_at"] <= time.time_ns() // 1000
    append_event(workspace, {"user_id": "7", "item_id": "x", "timestamp": "2020-09-13T12:26:40Z"})
    assert last(workspace)["occurred_at"] == 1_600_000_000_000_000


def test_an_event_with_an_id_is_appended_once(workspace):
    event = {"user_id": "7", "item_id": "x", "event_id": "click-1"}
    assert append_event(workspace, event).appended == 1
    assert append_event(workspace, event).already_there == 1


def test_a_live_event_of_a_workspace_without_a_clock_comes_last(clockless):
    append_event(clockless, {"user_id": "1", "item_id": "y"})
    events = EventLog(clockless.event_log).read().sort("occurred_at")
    assert events["item_id"].to_list() == ["x", "y"]


def test_without_a_clock_a_deleted_user_comes_back_by_live_events_and_by_no_file(clockless, tmp_path):
    delete_users(clockless, ["1"])
    path = tmp_path / "new.csv"
    pl.DataFrame({"user_id": ["1", "2"], "item_id": ["y", "y"], "position": [500, 501]}).write_csv(path)
    result = append_file(clockless, path)
    assert (result.appended, result.withheld) == (1, 1)
    assert append_event(clockless, {"user_id": "1", "item_id": "z"}).appended == 1
    assert EventLog(clockless.event_log).read(["1"])["item_id"].to_list() == ["z"]


def test_other_content_under_an_id_that_is_known_is_reported(workspace):
    append_event(workspace, {"user_id": "7", "item_id": "x", "event_id": "click-1"})
    other = append_event(workspace, {"user_id": "8", "item_id": "x", "event_id": "click-1"})
    assert (other.appended, other.already_there, other.conflicts) == (0, 1, 1)


@pytest.mark.parametrize(
    ("event", "wrong"),
    [
        ({"user_id": "a", "item": "x"}, "unknown key 'item'"),
        ({"user_id": "a", "item": "x"}, "'item_id' is missing or empty"),
        ({"user_id": "", "item_id": "x"}, "'user_id' is missing or empty"),
        ({"user_id": "  ", "item_id": "x"}, "empty or missing user_id"),
        ({"user_id": {"a": 1}, "item_id": "x"}, "'user_id' must be one plain value"),
        ({"user_id": 1.5, "item_id": "x"}, "no whole numbers"),
        ({"user_id": True, "item_id": "x"}, "must hold ids"),
        ({"user_id": "a", "item_id": "x", "timestamp": "soon"}, "missing or unreadable timestamp"),
        ({"user_id": "a", "item_id": "x", "timestamp": 9_999_999_999}, "ahead of now"),
        ({"user_id": "a", "item_id": "x", "value": "high"}, "'value' must hold numbers"),
        ({"user_id": "a", "item_id": "x", "event": 3}, "'event' must hold kinds of events"),
    ],
)
def test_a_wrong_event_is_explained_and_not_appended(workspace, event, wrong):
    with pytest.raises(DataError) as caught:
        append_event(workspace, event)
    assert wrong in str(caught.value)
    assert EventLog(workspace.event_log).position() == 1


def test_a_summary_counts_what_the_workspace_holds(workspace):
    append_event(workspace, {"user_id": "1", "item_id": "y", "timestamp": 20})
    append_event(workspace, {"user_id": "2", "item_id": "y", "timestamp": 30})
    summary = summarise(workspace)
    assert (summary.events, summary.interactions, summary.position) == (3, 3, 3)
    assert (summary.users, summary.users_with_events, summary.items, summary.items_with_events) == (1, 2, 1, 2)
    assert (summary.least, summary.median, summary.most) == (1, 1.5, 2)
    assert (summary.first_at, summary.last_at) == (10_000_000, 30_000_000)
    assert summary.schema == WorkspaceSchema.load(workspace.schema_file)
