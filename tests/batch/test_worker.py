"""What an actor opens once: the model, in a form for many users at once as far as memory allows."""

from types import SimpleNamespace

import pytest

from recsys.batch.plan import BatchPlan
from recsys.batch.worker import RecommendationMaker, room_for_blocks
from recsys.workspace import Workspace


@pytest.fixture
def machine(monkeypatch):
    """Eight processors and 64 GB left."""
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    monkeypatch.setattr("recsys.batch.worker.available_memory", lambda: 64 * 10**9)


def test_all_actors_of_a_machine_together_take_a_quarter_of_the_memory_left(machine):
    assert 8 * room_for_blocks() == 16 * 10**9


def test_an_actor_gives_its_model_no_more_room_than_its_part(machine, tmp_path, monkeypatch):
    rooms = []
    ranker = SimpleNamespace(for_many=rooms.append)
    monkeypatch.setattr("recsys.registry.snapshot.load_snapshot", lambda *_, **__: SimpleNamespace(schema=None))
    monkeypatch.setattr("recsys.registry.loading.load_recommender", lambda *_: ranker)
    monkeypatch.setattr("recsys.context.reader.FeastReader", lambda *_: None)
    told = {"snapshot_hash": "s", "content_hash": "c", "model_version": "1", "as_of": 10, "events_before": 3}
    workspace = Workspace("films", tmp_path)
    RecommendationMaker(
        BatchPlan(
            workspace=workspace.name,
            home=workspace.home,
            snapshot=workspace.root,
            log_position=0,
            k=1,
            out=tmp_path / "out",
            **told,
        )
    )
    assert rooms == [room_for_blocks()]
