"""Old events go for good, rows follow, and a user's newest stay when asked."""

from __future__ import annotations

import orjson
import polars as pl
import pytest
from typer.testing import CliRunner

from recsys.cli.app import build_app
from recsys.data.schema import WorkspaceSchema
from recsys.errors import ConfigError
from recsys.events.impressions import Impression, ImpressionLog
from recsys.events.log import EventLog
from recsys.events.removals import Removals
from recsys.jobs.ingest import ingest_folder
from recsys.jobs.materialise import materialise
from recsys.jobs.prune import prune
from recsys.workspace import Workspace

DAY = 86_400
START = 1_600_000_000
NOW = (START + 100 * DAY) * 1_000_000


@pytest.fixture
def workspace(tmp_path, recsys_home):
    folder = tmp_path / "brought"
    folder.mkdir()
    rows = [("ann", f"unmistakable-{day}", START + day * DAY) for day in range(0, 100, 10)] + [("bob", "x", START)]
    pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row").write_parquet(
        folder / "events.parquet"
    )
    target = Workspace.named("shop")
    ingest_folder(target, folder)
    return target


def test_events_older_than_so_many_days_go(workspace):
    result = prune(workspace, 35, now=NOW)
    assert (result.removed, result.kept, result.position) == (8, 3, 12)
    assert EventLog(workspace.event_log).read()["item_id"].to_list() == [f"unmistakable-{day}" for day in (70, 80, 90)]


def test_each_users_newest_stay_whatever_their_age(workspace):
    assert prune(workspace, 0, keep_last=1, now=NOW).kept == 2
    assert sorted(EventLog(workspace.event_log).read()["user_id"]) == ["ann", "bob"]


def test_no_byte_of_an_old_event_is_left_in_the_log(workspace, files_with):
    prune(workspace, 35, now=NOW)
    assert files_with(workspace.event_log.parent, "unmistakable-60") == []
    assert files_with(workspace.event_log.parent, "unmistakable-70")
    assert Removals(workspace.event_log).are_done()


def test_impressions_of_before_go_as_well_even_where_no_event_does(workspace, files_with):
    shown = [
        Impression(
            request_id=f"r{day}", shown_at=day * DAY * 1_000_000, user_id=f"shown-{day}", model_version="1", item_ids=()
        )
        for day in range(4)
    ]
    log = ImpressionLog.of(workspace)
    log.append(shown)
    result = prune(workspace, 98, now=100 * DAY * 1_000_000)
    assert (result.removed, result.impressions) == (0, 2)
    assert log.read()["request_id"].to_list() == ["r2", "r3"]
    assert files_with(workspace.root, "shown-1") == []
    assert log.are_done()


def test_pruning_again_does_nothing(workspace):
    prune(workspace, 35, now=NOW)
    assert prune(workspace, 35, now=NOW).removed == 0


def test_an_order_without_a_clock_has_no_age_but_impressions_do(tmp_path, recsys_home):
    folder = tmp_path / "ordered"
    folder.mkdir()
    pl.DataFrame({"user_id": ["a"], "item_id": ["x"], "position": [0]}).write_parquet(folder / "events.parquet")
    target = Workspace.named("ordered")
    ingest_folder(target, folder)
    with pytest.raises(ConfigError, match="no clock"):
        prune(target, 1)
    shown = ImpressionLog.of(target)
    shown.append([Impression(request_id="r", shown_at=START, user_id="a", model_version="1", item_ids=())])
    result = prune(target, 1, now=NOW)
    assert (result.removed, result.kept, result.impressions) == (0, 1, 1)


def test_the_command_asks_first_and_refuses_nonsense(workspace):
    run = CliRunner()
    assert run.invoke(build_app(), ["events", "prune", "--older-than", "1", "-w", "shop"], input="n\n").exit_code == 1
    assert EventLog(workspace.event_log).count() == 11
    negative = run.invoke(build_app(), ["events", "prune", "--older-than", "-1", "--yes", "-w", "shop", "--json"])
    assert negative.exit_code == 2
    assert "negative" in orjson.loads(negative.stdout.splitlines()[-1])["message"]
    done = run.invoke(build_app(), ["events", "prune", "--older-than", "1", "--yes", "-w", "shop", "--json"])
    assert orjson.loads(done.stdout.splitlines()[-1])["removed"] == 11


@pytest.mark.slow
def test_rows_lose_what_the_log_lost_at_once_and_in_the_store(workspace):
    from recsys.context.reader import FeastReader

    materialise(workspace)
    reader = FeastReader(workspace, WorkspaceSchema.load(workspace.schema_file))
    removals = Removals(workspace.event_log)
    assert removals.prune(NOW - 35 * DAY * 1_000_000, keep_last=0) == 8
    assert [row.event_count for row in reader.online(["ann", "bob"])] == [3, 0]
    assert [row.event_count for row in reader.as_of(["ann"], [NOW])] == [3]
    prune(workspace, 25, now=NOW)
    assert reader._store.read_online(["ann", "bob"])["event_count"] == [2, 0]
