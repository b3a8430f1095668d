"""Whoever is deleted is in no model, report, MLflow file or snapshot that was made before, whichever job made it."""

from __future__ import annotations

import pytest

from recsys.jobs.delete_users import delete_users
from recsys.jobs.evaluate import evaluate
from recsys.jobs.ingest import ingest
from recsys.jobs.train import train
from recsys.registry.promotion import promote
from recsys.workspace import Workspace

pytestmark = pytest.mark.slow

GONE = "unmistakable-user"


def test_a_user_who_is_deleted_while_training_runs_is_named_nowhere_and_the_next_training_starts_anew(
    tmp_path, imported_data, quick_config, random_body_fit, files_with, monkeypatch
):
    workspace = Workspace("films", tmp_path / "home")
    ingest(workspace, imported_data(extra=[(GONE, f"i{n:02d}", n) for n in range(9)]))
    deleted = []

    def fit(*given, **kinds):
        if not deleted:
            deleted.append(delete_users(workspace, [GONE]))
        return random_body_fit(*given, **kinds)

    monkeypatch.setattr("recsys.training.stages.fit_body_expert", fit)
    monkeypatch.setattr("recsys.jobs.previous_training.code_hash", lambda: "this code")
    train(workspace, quick_config())
    assert deleted[0].events == 9
    assert files_with(workspace.home, GONE) == []
    assert not train(workspace, quick_config(), reuse_within=1.0).reused


def test_nothing_made_from_a_deleted_users_events_names_them(
    tmp_path, imported_data, quick_config, quick_body, files_with
):
    workspace = Workspace("films", tmp_path / "home")
    ingest(workspace, imported_data(extra=[(GONE, f"i{n:02d}", n) for n in range(9)]))
    train(workspace, quick_config())
    promote(workspace, by="test")
    evaluate(workspace)
    named = files_with(workspace.home, GONE)
    assert {path.split("/")[1] for path in named} == {"catalogue", "events", "feature_store"}
    delete_users(workspace, [GONE])
    assert files_with(workspace.home, GONE) == []
