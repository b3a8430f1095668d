"""A champion goes on serving on its own version of the features after the workspace moved to another one."""

from dataclasses import replace

import pytest

from recsys.data.schema import WorkspaceSchema
from recsys.errors import ConfigError, SnapshotError
from recsys.jobs.evaluate import evaluate
from recsys.jobs.feature_versions import drop, migrate, versions
from recsys.jobs.materialise import materialise
from recsys.jobs.opened import opened
from recsys.registry.feature_lock import features_of

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
