"""The running service and the registry: it follows every move without a wrong word, and lives without the registry."""

from __future__ import annotations

import shutil
import time

import pytest

from benchmarks.registry.flipping import flip, memory_figures
from benchmarks.registry.versions import allow, register_variant
from recsys.client import Client
from recsys.registry.leases import versions_in_use
from recsys.registry.promotion import promote, rollback
from recsys.registry.retention import collect
from recsys.serving.processes.process import ServerProcess

pytestmark = pytest.mark.slow

USERS = [f"u{number}" for number in range(20, 40)]


@pytest.fixture
def variant(workspace):
    """Another version of the champion's model, which gives other scores."""
    return register_variant(workspace)


def test_under_traffic_every_reply_is_whole_while_the_champion_flips(service, workspace, variant):
    found = flip(workspace, service, variant, flips=12, rate=20, users=USERS)
    assert found["failed"] == {}
    assert found["wrong"] == []
    assert found["users_whose_answers_differ"] == len(USERS)
    assert set(found["replies_by_version"]) == {"1", variant}
    assert found["requests"] > 20


def test_memory_is_flat_when_no_stretch_differs():
    assert memory_figures([150.0] + [100.0] * 99)["largest_change"] == 0
    assert memory_figures([100.0] * 50 + [110.0] * 50)["largest_change"] == pytest.approx(0.1)


def test_what_is_served_is_never_collected(service, client, workspace, variant):
    newest = [register_variant(workspace) for _ in range(2)][-1]
    promote(workspace, variant, by="test", judge=allow)
    _follow(client, variant)
    assert any(f"process {service.process_id}" in holder for holder in versions_in_use(workspace)[variant])
    rollback(workspace, by="test")
    _follow(client, "1")
    found = collect(workspace, keep=1)
    assert found.kept["1"] == "champion"
    assert newest in found.kept
    assert client.recommend("u1", k=1).model_version == "1"


def test_a_running_service_is_unaffected_by_a_registry_that_is_down(client, workspace):
    before = client.recommend("u1", k=5)
    hidden = _hide(workspace)
    try:
        for _ in range(30):
            again = client.recommend("u1", k=5)
            assert again.items == before.items
            assert again.model_version == before.model_version
        assert client.model().degraded is None
    finally:
        hidden.rename(workspace.tracking_database)


def test_a_service_that_starts_without_the_registry_serves_the_last_good_copy_and_says_so(workspace, tmp_path):
    hidden = _hide(workspace)
    try:
        process = ServerProcess.start(workspace, log=tmp_path / "serve.log")
        try:
            with Client(process.url) as own:
                told = own.model()
                assert told.model_version == "1"
                assert told.degraded.reason == "registry_unreachable"
                answered = own.recommend("u1", k=5)
                assert (len(answered.items), answered.degraded.reason) == (5, "registry_unreachable")
                hidden.rename(workspace.tracking_database)
                promoted = register_variant(workspace)
                promote(workspace, promoted, by="test", judge=allow)
                _follow(own, promoted)
                assert own.model().degraded is own.recommend("u1", k=5).degraded is None
        finally:
            process.stop()
        assert "from its local copy" in process.log.read_text()
    finally:
        if hidden.exists():
            hidden.rename(workspace.tracking_database)
    rollback(workspace, by="test")


def test_lineage_is_told_by_reply_model_and_explanation(client, workspace):
    from recsys.jobs.explain import explain

    explained = explain(workspace, "u1", k=3)
    _follow(client, explained.model_version)  # the tests before this one have moved the champion
    reply, model = client.recommend("u1", k=3), client.model()
    for name in ("data_fingerprint", "log_position", "code_commit"):
        assert getattr(reply.origin, name) == model.lineage[name] == explained.lineage[name]
        assert getattr(reply.origin, name) is not None
    assert reply.origin.content_hash == model.content_hash == explained.content_hash
    assert reply.feature_service == model.feature_service == explained.feature_service
    assert reply.model_version == model.model_version == explained.model_version


def _hide(workspace):
    hidden = workspace.tracking_database.with_suffix(".hidden")
    shutil.move(workspace.tracking_database, hidden)
    return hidden


def _follow(client, version, seconds=60.0):
    deadline = time.monotonic() + seconds
    while client.model().model_version != version:
        assert time.monotonic() < deadline, f"version {version} is not served"
        time.sleep(0.05)
