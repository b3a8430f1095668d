"""When a store is down, hung, locked or busy: the scoring service gets a context that says why, soon, and no event is
lost."""

import contextlib
import gc
import socket
import sqlite3
import threading
import time

import pytest

from recsys.context.engine import settings_file
from recsys.context.feature_schema import is_context_service
from recsys.context.layout import configuration_file, online_database, registry_database
from recsys.errors import FeatureStoreError, StoreTimeoutError
from recsys.jobs.materialise import forget, materialise
from recsys.serving.contexts import resolve

pytestmark = pytest.mark.slow

BUDGET = 0.2
SOON = 1.5
"""Seconds; generous, because other work runs beside the tests."""


class Wire:
    """What lies between a client and a server; it can be cut, go silent, and be mended."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._open, self._flowing = True, threading.Event()
        self._flowing.set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        self._open = False
        for pair in self._pairs:
            for end in pair:
                hang_up(end)
        self._pairs.clear()

    def silence(self) -> None:
        self._flowing.clear()

    def mend(self) -> None:
        self._open = True
        self._flowing.set()

    def close(self) -> None:
        self.cut()
        self.mend()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if not self._open:
                client.close()
                continue
            server = socket.create_connection(self._target)
            self._pairs.append((client, server))
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._carry, args=(source, sink), daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65_536):
                self._flowing.wait()
                sink.sendall(data)
        except OSError:
            pass
        finally:
            hang_up(source)
            hang_up(sink)


def hang_up(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)


def wired(url: str) -> tuple[Wire, str]:
    """The same server behind a wire."""
    secret, _, place = url.rpartition("@")
    address, _, database = place.partition("/")
    host, _, port = address.partition(":")
    wire = Wire(host, int(port))
    return wire, f"{secret}@127.0.0.1:{wire.port}/{database}"


@pytest.fixture(scope="module", params=["scale"])
def distant(request, services, tmp_path_factory, world_class):
    """A workspace whose Redis and PostgreSQL can be cut off; its reader, opened while both were well."""
    from recsys.context.reader import FeastReader

    with pytest.MonkeyPatch.context() as patch:
        redis, redis_url = wired(services["RECSYS_TEST_ONLINE_STORE"])
        postgres, postgres_url = wired(services["RECSYS_TEST_REGISTRY"])
        patch.setenv("DISTANT_REDIS", redis_url)
        patch.setenv("DISTANT_POSTGRES", postgres_url)
        world = world_class(tmp_path_factory.mktemp("distant"))
        settings_file(world.workspace).write_text(
            'registry = "${DISTANT_POSTGRES}"\nonline_store = "${DISTANT_REDIS}"\n'
            f"read_timeout_ms = {int(BUDGET * 1_000)}\n"
        )
        world.append(("ann", "a", 10), ("ann", "b", 20))
        materialise(world.workspace)
        reader = FeastReader(world.workspace, world.schema, budget=BUDGET)
        assert reader.online(["ann"])[0].history_items == ("a", "b")
        yield world, reader, redis, postgres
        redis.mend()
        forget(world.workspace)
        redis.close()
        postgres.close()


def answered(reader, world, user="ann"):
    """What the scoring service makes of it, and how long it took."""
    started = time.monotonic()
    resolved = resolve(user, None, reader, world.schema, now=2**60)
    return resolved, time.monotonic() - started


def test_while_redis_is_down_answers_say_so_and_acknowledged_events_are_not_lost(distant):
    world, reader, redis, _ = distant
    redis.cut()
    resolved, seconds = answered(reader, world)
    assert (resolved.degraded, resolved.row.present) == ("store_error", False)
    assert seconds < SOON
    world.append(("ann", "c", 30))
    with pytest.raises(FeatureStoreError):
        reader.refresh(["ann"])
    redis.mend()
    assert answered(reader, world)[0].row.history_items == ("a", "b", "c")
    reader.refresh(["ann"])
    assert reader._store.read_online(["ann"])["history_items"] == [["a", "b", "c"]]


def test_while_redis_is_hung_answers_come_within_the_budget_and_say_so(distant):
    world, reader, redis, _ = distant
    redis.silence()
    resolved, seconds = answered(reader, world)
    redis.mend()
    assert resolved.degraded == "store_timeout"
    assert BUDGET / 2 < seconds < SOON
    assert answered(reader, world)[0].degraded is None


def test_a_registry_that_is_down_disturbs_no_reader_that_has_started(distant):
    world, reader, _, postgres = distant
    postgres.cut()
    assert answered(reader, world)[0].degraded is None
    reader.refresh(["ann"])
    postgres.mend()


def test_a_reader_cannot_start_without_its_registry_and_says_why_without_its_secret(distant, services):
    from recsys.context.reader import FeastReader

    world, _, _, postgres = distant
    postgres.cut()
    with pytest.raises(FeatureStoreError, match="open the feature store.*OperationalError") as refused:
        FeastReader(world.workspace, world.schema)
    postgres.mend()
    password = services["RECSYS_TEST_REGISTRY"].split(":")[2].split("@")[0]
    assert password not in str(refused.value)


def test_rows_that_redis_lost_are_made_again(distant):
    from recsys.context.layout import project
    from recsys.context.redis_client import forget_rows

    world, reader, _, _ = distant
    assert materialise(world.workspace).reused in (True, False)
    assert materialise(world.workspace).reused
    engine = reader._store.features.engine
    forget_rows(engine, project(world.workspace, engine))
    assert reader.online(["silent"])[0].degraded is None, "folded from log and catalogue meanwhile"
    assert not materialise(world.workspace).reused
    assert reader.online(["silent"])[0].degraded is None


@pytest.fixture(scope="module")
def near(tmp_path_factory, world_class):
    """An embedded workspace, materialised."""
    world = world_class(tmp_path_factory.mktemp("near"))
    world.append(("ann", "a", 10), ("ann", "b", 20))
    materialise(world.workspace)
    return world


def test_a_locked_sqlite_store_costs_a_read_its_budget_and_no_more(near):
    from recsys.context.reader import FeastReader

    gc.collect()  # closes what materialising had opened: an exclusive lock suffers nobody beside it
    with sqlite3.connect(online_database(near.workspace)) as owner:
        owner.execute("PRAGMA locking_mode = EXCLUSIVE")
        owner.execute("BEGIN EXCLUSIVE")
        reader = FeastReader(near.workspace, near.schema, budget=BUDGET)
        resolved, seconds = answered(reader, near)
        assert resolved.degraded == "store_timeout"
        assert seconds < SOON
    owner.close()
    assert answered(reader, near)[0].row.history_items == ("a", "b")


def test_a_locked_event_log_costs_a_read_its_budget_and_no_more(near):
    from recsys.context.reader import FeastReader

    reader = FeastReader(near.workspace, near.schema, budget=BUDGET)
    near.log.close()
    reader._folder.log.close()
    with sqlite3.connect(near.workspace.event_log) as owner:
        owner.execute("PRAGMA locking_mode = EXCLUSIVE")
        owner.execute("BEGIN EXCLUSIVE")
        resolved, seconds = answered(reader, near)
        assert resolved.degraded == "store_timeout"
        assert seconds < SOON
    owner.close()
    assert answered(reader, near)[0].degraded is None


def test_a_read_that_takes_too_long_to_compute_is_ended(near):
    from recsys.context.reader import FeastReader

    reader = FeastReader(near.workspace, near.schema, budget=1e-9)
    with pytest.raises(StoreTimeoutError):
        reader.online(["ann"])
    unhurried = FeastReader(near.workspace, near.schema)
    assert unhurried.online(["ann"])[0].history_items == ("a", "b")


@pytest.fixture
def materialising(near):
    """Feast's registry says that every view is being materialised."""
    from feast import FeatureStore
    from feast.protos.feast.core.FeatureView_pb2 import FeatureView, FeatureViewState

    def set_state(state):
        registry = sqlite3.connect(registry_database(near.workspace))
        with contextlib.closing(registry), registry:
            for name, stored in registry.execute("SELECT feature_view_name, feature_view_proto FROM feature_views"):
                view = FeatureView.FromString(stored)
                view.meta.state = state
                registry.execute(
                    "UPDATE feature_views SET feature_view_proto = ? WHERE feature_view_name = ?",
                    (view.SerializeToString(), name),
                )

    set_state(FeatureViewState.MATERIALIZING)
    yield FeatureStore(fs_yaml_file=configuration_file(near.workspace))
    set_state(FeatureViewState.STATE_UNSPECIFIED)


def test_views_are_read_while_they_materialise_by_us_and_by_feast_itself(near, materialising):
    from recsys.context.reader import FeastReader

    reader = FeastReader(near.workspace, near.schema)
    assert reader.online(["ann"])[0].history_items == ("a", "b")
    [service] = [one for one in materialising.list_feature_services() if is_context_service(one.name)]
    reply = materialising.get_online_features(features=service, entity_rows=[{"user_id": "ann"}])
    assert reply.to_dict()["history_items"] == [["a", "b"]]


def test_feast_itself_would_refuse_them_without_our_setting(near, materialising, monkeypatch):
    monkeypatch.setattr(materialising.registry, "serve_features_while_materializing", False, raising=False)
    [service] = [one for one in materialising.list_feature_services() if is_context_service(one.name)]
    with pytest.raises(ValueError, match="MATERIALIZING"):
        materialising.get_online_features(features=service, entity_rows=[{"user_id": "ann"}])
