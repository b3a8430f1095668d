"""The real feature store: what is read, online or as of any moment, is what the log says, to the last bit."""

import shutil
import threading
from dataclasses import fields, replace

import numpy as np
import polars as pl
import pytest
import torch

from recsys.context.batch import ContextBatch
from recsys.context.encoder import ContextEncoder
from recsys.context.profile import ProfileEncoding
from recsys.context.rows import feature_rows
from recsys.data.canonical import EVENT_SCHEMA
from recsys.errors import ConfigError, DataError, FeatureStoreError, LeaseError
from recsys.events.lease import FoldLease
from recsys.events.log import EventLog
from recsys.events.outrun import Outruns
from recsys.jobs.materialise import forget, materialise

pytestmark = pytest.mark.slow

USERS = ["ann", "böb", "c c", "silent", "null", "new", "late"]
ITEMS = ["a", "b", "ü", "d'e", "", "f"]


def random_events(rng, count: int) -> list[tuple[str, str, int, str | None]]:
    """Few users, few items, few distinct times: ties, repeats and late events are the rule."""
    start = 2**53
    return [
        (
            str(rng.choice([user for user in USERS if user != "silent"])),
            str(rng.choice(ITEMS)),
            start + int(rng.integers(0, 40)),
            rng.choice(np.array([None, "buy", "dislike"], dtype=object)),
        )
        for _ in range(count)
    ]


def folded_now(world, users):
    rows = feature_rows(world.folder.now(users).to_dict(as_series=False), world.schema)
    return {row.user_id: row for row in rows}


def folded_before(world, user, moment):
    rows = world.folder.before(world.moments((user, moment)))
    return feature_rows(rows.to_dict(as_series=False), world.schema)[0]


def newest_token(world) -> int:
    lease = FoldLease(world.workspace.event_log)
    token = lease.acquire("maintenance")
    lease.release(token)
    return token


@pytest.fixture(scope="module", params=[False, True], ids=["once", "repeats"])
def filled(request, engine, tmp_path_factory, world_class):
    """A workspace with 150 random events and one user of 300, materialised; then its reader."""
    from recsys.context.reader import FeastReader

    world = world_class(tmp_path_factory.mktemp("home"), repeats=request.param)
    world.use_engine(engine)
    world.append(*random_events(np.random.default_rng(0), 150))
    world.append(*[("many", f"item {index}", 1_000 + index) for index in range(300)])
    materialise(world.workspace)
    yield world, FeastReader(world.workspace, world.schema)
    forget(world.workspace)


@pytest.fixture(scope="module")
def reader(filled):
    return filled[1]


@pytest.fixture(scope="module")
def world(filled):
    return filled[0]


def test_online_rows_are_the_fold_of_the_log(world, reader):
    users = [*USERS, "many"]
    assert reader.online(users) == [folded_now(world, users)[user] for user in users]


def test_rows_as_of_any_moment_are_the_fold_of_what_came_before(world, reader):
    pairs = [(user, 2**53 + moment) for user in ("ann", "böb", "new", "silent") for moment in range(-1, 45, 3)]
    pairs += [("many", moment) for moment in (0, 1_000, 1_001, 1_150, 1_298, 1_299, 1_300, 2**53)]
    found = reader.as_of([user for user, _ in pairs], [moment for _, moment in pairs])
    assert found == [folded_before(world, user, moment) for user, moment in pairs]


def test_the_cuts_that_evaluation_asks_for_come_out_of_the_join_without_folding(world, reader, monkeypatch):
    cuts = world.folder.cuts((0, 1, 2)).filter(pl.col("valid_until") < 2**63 - 1)
    expected = feature_rows(cuts.to_dict(as_series=False), world.schema)
    monkeypatch.setattr(type(world.folder), "before", lambda *_: pytest.fail("folded again"))
    assert reader.as_of(cuts["user_id"].to_list(), cuts["valid_until"].to_list()) == expected


def test_the_join_keeps_every_row_and_its_order(world, reader):
    users = ["many", "stranger", "many", "ann", "many", "stranger"]
    rows = reader.as_of(users, [1_299, 5, 1_299, -(2**62), 2**62, 2**62])
    assert [row.user_id for row in rows] == users
    assert [row.event_count for row in rows] == [299, 0, 299, 0, 300, 0]
    assert [row.degraded for row in rows] == [None, "unknown_user", None, None, None, "unknown_user"]


def test_online_and_offline_give_the_same_tensors_after_every_append(world, reader):
    rng = np.random.default_rng(1)
    users = [*USERS, "many", "stranger"]
    profiles = [row.profile for row in reader.online(users)]
    encoding = ProfileEncoding.fit(profiles, world.schema.user_columns, min_count=1)
    encoder = ContextEncoder(ITEMS + [f"item {index}" for index in range(250)], encoding)
    for step in range(4):
        world.append(*random_events(rng, 5))
        if step % 2:
            reader.refresh(USERS)
        online = reader.online(users)
        offline = reader.as_of(users, [2**62] * len(users))
        assert online == offline
        for name in (field.name for field in fields(ContextBatch)):
            now, then = (getattr(encoder.encode(rows), name) for rows in (online, offline))
            assert now.dtype == then.dtype
            assert torch.equal(now, then), name


def test_an_acknowledged_event_shows_before_it_is_stored(world, reader):
    world.append(("silent", "a", 7))
    assert reader.online(["silent"])[0].history_items == ("a",)
    world.append(("newcomer", "b", 8))
    row = reader.online(["newcomer"])[0]
    assert (row.present, row.history_items, row.degraded) == (True, ("b",), None)


def test_a_refreshed_row_is_read_from_the_store(world, reader, monkeypatch):
    world.append(("silent", "b", 9))
    reader.refresh(["silent"])
    expected = folded_now(world, ["silent"])["silent"]
    monkeypatch.setattr(type(world.folder), "now", lambda *_: pytest.fail("folded again"))
    assert reader.online(["silent"]) == [expected]


def test_an_older_row_never_replaces_a_newer_one(world, reader):
    older = world.folder.now(["ann"])
    world.append(("ann", "f", 3))
    reader.refresh(["ann"])
    reader._store.push(older, newest_token(world))
    stored = reader._store.read_online(["ann"])
    assert stored["log_position"] == [world.log.position()]
    assert stored["history_items"] == [list(folded_now(world, ["ann"])["ann"].history_items)]


def test_whoever_does_not_hold_the_lease_writes_no_row_and_reads_exactly_all_the_same(world, reader):
    elsewhere = FoldLease(world.workspace.event_log)
    token = elsewhere.acquire("serving")
    before = reader._store.read_online(["ann"])
    world.append(("ann", "elsewhere", 4))
    try:
        assert reader.refresh(["ann"]) is False
        assert reader._store.read_online(["ann"]) == before
        assert reader.online(["ann"]) == [folded_now(world, ["ann"])["ann"]]
    finally:
        elsewhere.release(token)
    assert reader.refresh(["ann"]) is True
    assert reader._store.read_online(["ann"]) != before


def test_the_holder_catches_up_with_what_any_process_appended_and_goes_on_where_another_ended(world, reader):
    world.append(("böb", "b", 12), ("newest", "a", 13))
    token = newest_token(world)
    while reader.catch_up(token):
        pass
    stored = reader._store.read_online(["böb", "newest"])
    assert stored["log_position"] == [world.log.position()] * 2
    assert not reader.catch_up(token)
    world.append(("böb", "d'e", 13))
    with pytest.raises(LeaseError):
        reader.catch_up(token - 1)
    while reader.catch_up(newest_token(world)):
        pass
    assert reader._store.read_online(["böb"])["log_position"] == [world.log.position()]


def test_a_job_takes_over_from_a_serving_process_whose_late_writes_are_refused(world, reader):
    serving = FoldLease(world.workspace.event_log)
    token = serving.acquire("serving")
    rows = world.folder.now(["ann"])
    world.append(("ann", "a", 14))
    assert materialise(world.workspace).reused is False
    with pytest.raises(LeaseError):
        reader._store.push(rows, token)
    assert not serving.renew(token)
    assert serving.acquire("serving") > token


def test_materialising_again_stores_what_happened_since_and_then_reuses_it(world, reader):
    world.append(("böb", "a", 11))
    first = materialise(world.workspace)
    again = materialise(world.workspace)
    assert (first.reused, again.reused) == (False, True)
    assert first.log_position == again.log_position == world.log.position()
    assert reader._store.read_online(["böb"])["log_position"] == [world.log.position()]


def test_readers_and_writers_in_many_threads_do_not_disturb_each_other(world, reader):
    expected = folded_now(world, ["ann", "many"])
    problems = []

    def work(user):
        try:
            for _ in range(15):
                reader.refresh([user])
                if reader.online([user]) != [expected[user]]:
                    problems.append(user)
        except Exception as error:
            problems.append(error)

    threads = [threading.Thread(target=work, args=(user,)) for user in ("ann", "many") * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []


def test_a_profile_that_was_imported_anew_is_read_after_materialising(world, reader):
    users = pl.read_parquet(world.workspace.users_file)
    world.save_users(users.with_columns(pl.lit(99.0).alias("age")))
    assert materialise(world.workspace).reused is False
    assert reader.online(["ann"])[0].profile["age"] == 99.0
    assert reader.as_of(["ann"], [0])[0].profile["age"] == 99.0


def test_asking_for_nobody_and_asking_wrongly(reader):
    assert reader.online([]) == []
    assert reader.as_of([], []) == []
    with pytest.raises(ConfigError, match="2 users came with 1 moments"):
        reader.as_of(["ann", "böb"], [1])


def test_another_schema_is_refused_until_it_is_materialised(world):
    from recsys.context.reader import FeastReader

    other = replace(world.schema, user_columns={"age": "numeric"})
    with pytest.raises(FeatureStoreError, match="'profile_likes'.* is gone.*features migrate --workspace small-world"):
        FeastReader(world.workspace, other)


def test_a_log_that_was_replaced_is_noticed(world, world_class, tmp_path):
    from recsys.context.reader import FeastReader

    shorter = world_class(tmp_path)
    shorter.append(("ann", "a", 1))
    replaced = FeastReader(world.workspace, world.schema)
    replaced._outruns = Outruns(shorter.log, world.schema.name)
    with pytest.raises(FeatureStoreError, match="--rebuild"):
        replaced.online(["ann"])


def test_a_copied_workspace_never_reads_or_writes_the_store_it_was_copied_from(world, reader, tmp_path):
    from recsys.context.reader import FeastReader

    shutil.copytree(world.workspace.root, tmp_path / world.workspace.name)
    copy = replace(world.workspace, home=tmp_path)
    with pytest.raises(FeatureStoreError, match="moved or copied.*--rebuild"):
        FeastReader(copy, world.schema)
    assert not materialise(copy).reused
    before = reader._store.read_online(["ann"])
    EventLog(copy.event_log).append(
        pl.DataFrame([("copied", "ann", "copied", 2**54, None, 1.0)], EVENT_SCHEMA, orient="row")
    )
    copied = FeastReader(copy, world.schema)
    copied.refresh(["ann"])
    assert copied.online(["ann"])[0].event_count == reader.online(["ann"])[0].event_count + 1
    assert copied.as_of(["ann"], [2**54 + 1])[0].history_items[-1] == "copied"
    assert reader._store.read_online(["ann"]) == before


def test_a_damaged_users_file_is_told(world_class, tmp_path):
    broken = world_class(tmp_path)
    broken.append(("ann", "a", 1))
    broken.workspace.users_file.write_bytes(b"no parquet")
    with pytest.raises(DataError, match=r"users\.parquet is damaged"):
        materialise(broken.workspace)


def test_rows_of_items_are_read_online_and_as_of_moments_without_counts_of_the_future(world_class, tmp_path):
    from recsys.context.item_store import ItemStore
    from recsys.context.store import FeatureStoreAdapter

    shop = world_class(tmp_path)
    events = [("1", "ann", "a", 5, None, 1.0), ("2", "böb", "a", 6, "dislike", 1.0), ("3", "ann", "new", 7, None, 1.0)]
    for received, one in enumerate(events, start=1_000_000):
        shop.log.append(pl.DataFrame([one], EVENT_SCHEMA, orient="row"), received_at=received)
    materialise(shop.workspace)
    items = ItemStore(FeatureStoreAdapter(shop.workspace, shop.schema))
    online = items.online(["a", "nobody's", "unsold", "new"])
    assert online["event_count"].to_list() == [2, None, 0, 1]
    assert online["item_genre"].to_list() == [["x", "y"], None, ["z"], []]
    assert online["item_size"].to_list() == [1.0, None, 0.0, None]
    moments = [1_000_001, 1_000_002, 1_000_002, 0]
    assert items.as_of(["a", "a", "new", "unsold"], moments)["event_count"].to_list() == [None, 2, None, 0]


def test_a_service_that_was_registered_is_never_changed(world, reader, monkeypatch):
    from recsys.context import definitions
    from recsys.context.store import FeatureStoreAdapter

    more = {**definitions.load_definitions("user_features").SEEN_COLUMNS, "extra": pl.Int64()}

    def load(name, load=definitions.load_definitions):
        module = load(name)
        if name == "user_features":
            module.SEEN_COLUMNS = more
        return module

    FeatureStoreAdapter(world.workspace, world.schema).apply()
    monkeypatch.setattr(definitions, "load_definitions", load)
    with pytest.raises(FeatureStoreError, match=r"wanted only: user_seen_\w+:extra \(Int64\).*never changed"):
        FeatureStoreAdapter(world.workspace, world.schema).apply()
    assert "extra" not in reader._store.read_online(["ann"])
