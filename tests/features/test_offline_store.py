"""The offline store reads the parts that can hold who is asked for, and gives what Feast's own store gives."""

from __future__ import annotations

from functools import partial

import ibis
import polars as pl
import pytest

from benchmarks.stores.synthetic import START, append_users, make_workspace, user_name
from recsys import columns
from recsys.context.folding import RowFolder
from recsys.context.layout import OFFLINE_STORE, configuration_file
from recsys.context.store import FeatureStoreAdapter
from recsys.context.user_store import UserStore
from recsys.events.lease import FoldLease, maintenance
from recsys.events.log import EventLog
from recsys.jobs.materialise import CUTS

USERS, A_PART, EVENTS = 12, 3, 5
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """Twelve users in four parts."""
    made, schema = make_workspace(tmp_path_factory.mktemp("home"), "parts")
    append_users(EventLog(made.event_log), 0, USERS, EVENTS)
    features = FeatureStoreAdapter(made, schema)
    features.apply()
    lease = FoldLease(made.event_log)
    with maintenance(lease, "test") as token:
        chunks = RowFolder.of(made, schema).chunks(CUTS, users=A_PART)
        assert len(UserStore(features).write_offline(chunks, partial(lease.guarded, token))) == USERS // A_PART
    return made, schema


def as_of(workspace, user_ids) -> pl.DataFrame:
    moments = {columns.USER_ID: user_ids, columns.EFFECTIVE_AT: [START + 10**15] * len(user_ids)}
    return UserStore(FeatureStoreAdapter(*workspace)).read_as_of(pl.DataFrame(moments))


@pytest.fixture
def read(monkeypatch):
    """How many parts each look into the files took."""
    counts, original = [], ibis.read_parquet

    def counting(parts, **more):
        counts.append(len(parts) if isinstance(parts, list) else None)
        return original(parts, **more)

    monkeypatch.setattr(ibis, "read_parquet", counting)
    return counts


@pytest.mark.parametrize(
    ("users", "parts"), [([4], 1), ([3, 4, 5], 1), ([5, 6], 2), ([2, 9], 2), (range(USERS), 4), ([2, 2], 1)]
)
def test_parts_of_others_are_not_read(workspace, read, users, parts):
    user_ids = [user_name(number) for number in users]
    found = as_of(workspace, user_ids)
    assert found[columns.USER_ID].to_list() == user_ids
    assert found[columns.EVENT_COUNT].to_list() == [EVENTS] * len(user_ids)
    assert read
    assert set(read) == {parts}


def test_of_users_whom_no_part_can_hold_there_are_no_rows(workspace, read):
    found = as_of(workspace, ["zoe", "zac"])
    assert found[columns.EVENT_COUNT].to_list() == [None, None]
    assert set(read) == {1}


def test_a_store_that_an_earlier_version_configured_gives_the_same_rows(workspace, read):
    everybody = [user_name(number) for number in range(USERS)]
    now = as_of(workspace, everybody)
    file = configuration_file(workspace[0])
    text = file.read_text()
    file.write_text(text.replace(OFFLINE_STORE, "duckdb"))
    try:
        before = as_of(workspace, everybody)
    finally:
        file.write_text(text)
    assert now.equals(before)
    assert None in read, "Feast's own store was not asked"
