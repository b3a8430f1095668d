"""What was shown is kept as it was handed over, and goes with its user to the last byte, whoever writes meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import polars as pl
import pytest

from recsys.events.impressions import IMPRESSION_SCHEMA, Impression, ImpressionLog
from recsys.events.log import EventLog
from recsys.events.removals import Removals

NOW = time.time_ns() // 1000
GONE = "unmistakable-user"


@pytest.fixture
def event_log(tmp_path):
    log = EventLog(tmp_path / "events" / "log.sqlite")
    log.position()
    return log


@pytest.fixture
def shown(tmp_path, event_log):
    return ImpressionLog(tmp_path / "impressions" / "shown.sqlite", event_log.path)


def impression(user="ann", *, request="r1", at=NOW, items=("a", "b"), **more):
    return Impression(request_id=request, shown_at=at, user_id=user, model_version="1", item_ids=tuple(items), **more)


def test_a_workspace_without_impressions_has_no_file_of_them(shown):
    assert shown.read().schema == IMPRESSION_SCHEMA
    assert shown.users().is_empty()
    assert (shown.remove_users(["ann"]), shown.remove_before(NOW)) == (0, 0)
    shown.scrub()
    assert shown.are_done()
    assert not shown.path.exists()


def test_impressions_come_back_as_they_were_handed_over(shown):
    split = {"arm": "challenger", "champion_version": "1", "challenger_version": "2", "propensity": 0.1}
    shown.append([impression(None, items=("é", 'quote"d')), impression("bob", surface="home", degraded="x", **split)])
    first, second = shown.read().to_dicts()
    assert first["item_ids"] == ["é", 'quote"d']
    assert (first["user_id"], first["arm"], first["propensity"]) == (None, None, None)
    assert second["surface"] == "home"
    assert second["degraded"] == "x"
    assert {name: second[name] for name in split} == split
    assert shown.read(user_id="bob").height == shown.read(since=NOW).height - 1 == 1
    assert shown.read(since=NOW + 1).is_empty()
    assert shown.users()["user_id"].to_list() == ["bob"]


def test_a_list_of_nothing_is_a_list_of_nothing(shown):
    shown.append([impression(items=())])
    assert shown.read()["item_ids"].to_list() == [[]]


def test_removed_users_leave_no_byte(shown, files_with, tmp_path):
    rows = [impression(f"user-{n % 50}", request=f"r{n}", items=[f"item-{m}" for m in range(20)]) for n in range(2_000)]
    shown.append([*rows, *(impression(GONE, request=f"g{n}") for n in range(50))])
    assert shown.remove_users([GONE, "stranger"]) == 50
    assert not shown.are_done()
    shown.scrub()
    assert shown.are_done()
    assert files_with(tmp_path, GONE) == []
    assert files_with(tmp_path, "user-7") == ["impressions/shown.sqlite"]
    assert shown.read().height == 2_000


def test_what_is_older_goes_and_the_rest_stays(shown):
    shown.append([impression(request=f"r{n}", at=NOW + n) for n in range(4)])
    assert shown.remove_before(NOW + 3) == 3
    assert shown.read()["request_id"].to_list() == ["r3"]


def test_what_a_deleted_user_was_shown_before_is_not_written_any_more_and_later_things_are(shown, event_log):
    Removals(event_log.path).remove_users([GONE])
    deleted_at = Removals(event_log.path).deleted([GONE])[GONE]
    late = [impression(GONE, at=deleted_at), impression(GONE, request="new", at=deleted_at + 1), impression("ann")]
    assert shown.append(late) == 2
    assert shown.read()["request_id"].to_list() == ["new", "r1"]


def test_a_deletion_between_the_look_and_the_commit_removes_what_was_written(shown, event_log, monkeypatch):
    """The deletion waits for the writer, who began first and could not know of it."""
    removals, deleter = Removals(event_log.path), ImpressionLog(shown.path, event_log.path)
    looked = shown._removals.deleted

    def meanwhile(user_ids):
        found = looked(user_ids)
        removals.remove_users([GONE])
        return found

    monkeypatch.setattr(shown._removals, "deleted", meanwhile)
    shown.append([impression(GONE)])
    assert deleter.remove_users([GONE]) == 1
    assert deleter.read().is_empty()


def test_frames_can_be_joined_by_what_they_name(shown):
    shown.append([impression(request=f"r{n}") for n in range(3)])
    assert shown.read().explode("item_ids").filter(pl.col("item_ids") == "b").height == 3


@pytest.mark.slow
def test_what_was_written_survives_a_killed_process(shown, event_log):
    code = f"""
from pathlib import Path
from recsys.events.impressions import Impression, ImpressionLog
log = ImpressionLog(Path({str(shown.path)!r}), Path({str(event_log.path)!r}))
for n in range(10**6):
    log.append([Impression(request_id=str(n), shown_at={NOW}, user_id="ann", model_version="1", item_ids=("a",))])
    print(n + 1, flush=True)
"""
    writer = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    written = [int(writer.stdout.readline()) for _ in range(20)][-1]
    os.kill(writer.pid, signal.SIGKILL)
    rest, _ = writer.communicate()
    written = max([written, *(int(line) for line in rest.split())])
    kept = shown.read()["request_id"].to_list()
    assert kept[:written] == [str(n) for n in range(written)]
    assert len(kept) - written in (0, 1)
