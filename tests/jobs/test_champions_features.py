"""A champion goes on serving on its own version of the features after the workspace moved to another one."""

from dataclasses import replace

import pytest

from recsys.data.schema import WorkspaceSchema
from recsys.errors import ConfigError, SnapshotError
from recsys.jobs.evaluate import evaluate
from recsys.jobs.feature_versions import drop, migrate, versions
from recsys.jobs.materialise import materialise
from recsys.jobs.opened import opened
from recsys.jobs.promote import promote
from recsys.jobs.train import train
from recsys.registry.feature_lock import features_of
from recsys.registry.leases import in_use

pytestmark = pytest.mark.slow


def test_the_champion_serves_on_its_own_features_until_they_are_dropped(films):
    from fastapi.testclient import TestClient

    from recsys.serving.assembly import assemble

    materialise(films)  # it is a copy, whose store still points to where it was copied from
    before = opened(films)
    expected = before.recommender.recommend(before.reader.online(["u00"]))
    assert features_of(before.snapshot).service == before.snapshot.lineage["feature_service"]
    schema = WorkspaceSchema.load(films.schema_file)
    replace(schema, events=replace(schema.events, negative=("skip",))).save(films.schema_file)
    migrate(films)

    (read,) = (one for one in versions(films) if one.champion and one.rows == "users")
    assert read.service == features_of(before.snapshot).service
    assert not read.present
    with pytest.raises(ConfigError, match="is read by the champion of 'films'"):
        drop(films, read.service)
    after = opened(films)
    assert after.recommender.recommend(after.reader.online(["u00"])) == expected
    app, _models = assemble(films)
    with TestClient(app) as client:
        reply = client.post("/v1/recommendations", json={"user_id": "u00"}).json()
    assert [item["item_id"] for item in reply["items"]] == list(expected[0].item_ids)
    assert reply["feature_service"] == read.service
    with pytest.raises(SnapshotError, match=r'events is .*"negative": \["skip"\].*Train again'):
        evaluate(films)


def test_features_that_a_rollback_or_a_running_process_needs_go_only_by_force(films, quick_config, quick_body):
    materialise(films)
    read = features_of(opened(films).snapshot).service
    schema = WorkspaceSchema.load(films.schema_file)
    replace(schema, events=replace(schema.events, negative=("skip",))).save(films.schema_file)
    migrate(films)
    newer = train(films, quick_config()).model_version
    promote(films, newer, by="ada", why="other features", force=True)
    with pytest.raises(ConfigError, match=r"is read by version 1, what a rollback restores\. .*--force"):
        drop(films, read)
    with in_use(films, "1", "a service"), pytest.raises(ConfigError, match="version 1, in use by a service"):
        drop(films, read)
    assert drop(films, read, force=True).service == read
    assert read not in [one.service for one in versions(films)]
