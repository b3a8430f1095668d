"""A champion that reads other features swaps in with them; while they cannot be opened the one before serves, whole."""

import time
from dataclasses import replace
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest

from recsys.context.batch import FeatureRow
from recsys.context.rows import feature_service_name
from recsys.data.availability import save_unavailable_items
from recsys.data.catalogue import Catalogue
from recsys.data.schema import EventMeaning, WorkspaceSchema
from recsys.errors import FeatureStoreError
from recsys.registry.leases import versions_in_use
from recsys.registry.local import champion_file
from recsys.serving import assembly
from recsys.serving.experiment.experiment import ExperimentOptions
from recsys.serving.models import opening
from recsys.serving.ports import NoChampionError
from recsys.workspace import Workspace

OLDER = WorkspaceSchema(name="films")
NEWER = replace(OLDER, events=EventMeaning(negative=("skip",)))


class Reader:
    """Reads one version: everybody's history is the name of its service. Keeps what was folded and who was opened."""

    gone: tuple[str, ...] = ()
    opened: ClassVar[list[str]] = []
    folded: ClassVar[list[str]] = []
    followed: ClassVar[list[str]] = []

    def __init__(self, workspace, schema, budget, memory):
        self.service = feature_service_name(schema)
        if self.service in self.gone:
            raise FeatureStoreError(f"The workspace has no features of the version {self.service}.")
        self.opened.append(self.service)

    def online(self, user_ids):
        return [FeatureRow(user_id=one, history_items=(self.service,), present=True) for one in user_ids]

    def behind(self):
        return 0

    def follow_items(self):
        self.followed.append(self.service)

    def catch_up(self, token):
        self.folded.append(self.service)
        return False


class Champions:
    """A registry whose champion can be set to a version and the schema that it reads."""

    version, schema = None, None

    def found(self, workspace):
        if self.version is None:
            raise NoChampionError("recsys train")
        return SimpleNamespace(
            version=self.version, folder=workspace.root, content_hash="", snapshot_hash="", degraded=None
        )

    def opened(self, workspace):
        return self.found(workspace), SimpleNamespace(schema=self.schema, metrics={}, lineage={})


class Challengers:
    """The registry's other alias."""

    version, schema = None, None

    def chosen(self, workspace, version):
        snapshot = SimpleNamespace(schema=self.schema, metrics={}, lineage={}, content_hash="")
        return SimpleNamespace(version=version, snapshot=snapshot)


@pytest.fixture
def challengers(monkeypatch):
    known = Challengers()
    monkeypatch.setattr(opening, "chosen_version", known.chosen)
    monkeypatch.setattr(opening.Opening, "challengers_name", lambda _: known.version)
    return known


@pytest.fixture
def champions(monkeypatch):
    known = Champions()
    ranker = SimpleNamespace(
        vocabulary=("a",), context_faults=dict, recommend=lambda rows, k, **_: [SimpleNamespace(item_ids=(), scores=())]
    )
    ranker.flags = lambda item_ids: np.array(["a" in item_ids])
    ranker.keeping = lambda kept, identity: ranker
    for name, stand_in in (
        ("champion", known.found),
        ("opened_champion", known.opened),
        ("load_recommender", lambda snapshot, version: ranker),
        ("FeastReader", Reader),
    ):
        monkeypatch.setattr(opening, name, stand_in)
    monkeypatch.setattr(opening.Opening, "champions_name", lambda _: known.version)
    for name, empty in (("gone", ()), ("opened", []), ("folded", []), ("followed", [])):
        monkeypatch.setattr(Reader, name, empty)
    return known


@pytest.fixture
def workspace(tmp_path):
    target = Workspace("films", tmp_path)
    Catalogue.empty(OLDER).save(target)
    OLDER.save(target.schema_file)
    return target


@pytest.fixture
def running(workspace, champions):
    """The service on version 1, which reads the older features; its LiveFolder is closed at the end."""
    from fastapi.testclient import TestClient

    champions.version, champions.schema = "1", OLDER
    app, models = assembly.assemble(workspace)
    with TestClient(app) as client:
        yield client, models


def answered(client):
    reply = client.post("/v1/recommendations", json={"user_id": "ann", "k": 1}).json()
    return reply["model_version"], reply["feature_service"]


def test_model_and_features_are_swapped_together_and_back(running, champions):
    client, models = running
    assert answered(client) == ("1", feature_service_name(OLDER))
    champions.version, champions.schema = "2", NEWER
    models.refresh()
    assert answered(client) == ("2", feature_service_name(NEWER))
    assert models.current().features.contexts.online(["ann"])[0].history_items == (feature_service_name(NEWER),)
    assert client.get("/readyz").json()["feature_service"] == feature_service_name(NEWER)
    champions.version, champions.schema = "1", OLDER
    models.refresh()
    assert answered(client) == ("1", feature_service_name(OLDER))


def test_the_features_in_use_read_the_items_anew_where_these_changed_and_not_for_availability(running, workspace):
    client, _ = running
    Reader.followed.clear()
    save_unavailable_items(workspace, ["b"])
    answered(client)
    assert Reader.followed == []
    workspace.items_file.touch()
    answered(client)
    answered(client)
    assert Reader.followed == [feature_service_name(OLDER)]


def test_a_champion_of_the_same_features_keeps_them_open(running, champions):
    _, models = running
    before = models.current().features
    champions.version = "2"
    models.refresh()
    assert models.current().version == "2"
    assert models.current().features is before
    assert Reader.opened == [feature_service_name(OLDER)]


def test_a_champion_whose_features_are_not_there_leaves_the_one_before_whole(running, champions, monkeypatch):
    client, models = running
    monkeypatch.setattr(Reader, "gone", (feature_service_name(NEWER),))
    champions.version, champions.schema = "2", NEWER
    assert models.refresh()
    assert answered(client) == ("1", feature_service_name(OLDER))
    monkeypatch.setattr(Reader, "gone", ())
    models.refresh()
    assert answered(client) == ("2", feature_service_name(NEWER))


def test_what_serves_is_leased_and_nothing_else(running, champions, workspace, monkeypatch):
    _, models = running
    monkeypatch.setattr(Reader, "gone", (feature_service_name(NEWER),))
    champions.version, champions.schema = "2", NEWER
    models.refresh()
    assert set(versions_in_use(workspace)) == {"1"}
    monkeypatch.setattr(Reader, "gone", ())
    models.refresh()
    assert set(versions_in_use(workspace)) == {"2"}


def test_a_move_to_other_features_is_followed_at_once(running, champions, workspace):
    client, _ = running
    champions.version, champions.schema = "2", NEWER
    champion_file(workspace).write_text("moved")
    deadline = time.monotonic() + 3  # the registry alone would be asked after five seconds
    while answered(client)[0] != "2" and time.monotonic() < deadline:
        time.sleep(0.01)
    assert answered(client) == ("2", feature_service_name(NEWER))


def test_rows_of_the_version_that_serves_are_kept_fresh(running, champions):
    client, models = running
    champions.version, champions.schema = "2", NEWER
    models.refresh()
    deadline = time.monotonic() + 20
    while feature_service_name(NEWER) not in Reader.folded and time.monotonic() < deadline:
        client.post("/v1/events", json={"events": [{"user_id": "ann", "item_id": "a"}]})
        time.sleep(0.01)
    assert Reader.folded[-1] == feature_service_name(NEWER)


def test_without_a_champion_events_are_taken_and_name_the_workspaces_own_features(workspace, champions):
    from fastapi.testclient import TestClient

    app, _ = assembly.assemble(workspace)
    with TestClient(app) as client:
        assert client.post("/v1/recommendations", json={"user_id": "ann"}).status_code == 503
        reply = client.post("/v1/events", json={"events": [{"user_id": "ann", "item_id": "a"}]}).json()
    assert (reply["model_version"], reply["feature_service"]) == (None, feature_service_name(OLDER))


def arms(client, users=60):
    replies = [client.post("/v1/recommendations", json={"user_id": f"u{n}", "k": 1}).json() for n in range(users)]
    return {(reply["arm"], reply["model_version"], reply["feature_service"]) for reply in replies}


def test_a_challenger_brings_its_features_along_and_its_rows_are_kept_fresh(workspace, champions, challengers):
    from fastapi.testclient import TestClient

    champions.version, champions.schema = "1", OLDER
    challengers.version, challengers.schema = "2", NEWER
    app, _ = assembly.assemble(workspace, options=ExperimentOptions(split=0.5))
    older, newer = feature_service_name(OLDER), feature_service_name(NEWER)
    with TestClient(app) as client:
        assert arms(client) == {("champion", "1", older), ("challenger", "2", newer)}
        assert set(versions_in_use(workspace)) == {"1", "2"}
        deadline = time.monotonic() + 20
        while not {older, newer} <= set(Reader.folded) and time.monotonic() < deadline:
            client.post("/v1/events", json={"events": [{"user_id": "ann", "item_id": "a"}]})
            time.sleep(0.01)
        assert {older, newer} <= set(Reader.folded)
        challengers.version = None
        champion_file(workspace).write_text("moved")
        while arms(client, users=5) != {(None, "1", older)} and time.monotonic() < deadline:
            time.sleep(0.01)
        assert arms(client) == {(None, "1", older)}


def test_a_challenger_whose_features_are_not_there_is_none(workspace, champions, challengers, monkeypatch):
    from fastapi.testclient import TestClient

    monkeypatch.setattr(Reader, "gone", (feature_service_name(NEWER),))
    champions.version, champions.schema = "1", OLDER
    challengers.version, challengers.schema = "2", NEWER
    app, _ = assembly.assemble(workspace, options=ExperimentOptions(split=0.5))
    with TestClient(app) as client:
        assert arms(client) == {(None, "1", feature_service_name(OLDER))}
        assert client.get("/v1/model").json()["experiment"]["challenger_version"] is None


def test_without_the_options_nobody_asks_for_a_challenger(workspace, champions, challengers, monkeypatch):
    champions.version, champions.schema = "1", OLDER
    monkeypatch.setattr(opening.Opening, "challengers_name", lambda _: pytest.fail("asked"))
    app, _ = assembly.assemble(workspace, options=ExperimentOptions(impressions=True))
    assert app is not None
    assert not workspace.impressions.exists()
