"""What `make quickstart` must leave behind. Runs on its workspaces folder, named by RECSYS_QUICKSTART_HOME."""

from __future__ import annotations

import json
import os
from pathlib import Path

import polars as pl
import pytest

from recsys.data.catalogue import Catalogue
from recsys.data.schema import WorkspaceSchema
from recsys.events.log import EventLog
from recsys.events.ordering import interactions
from recsys.registry.champion import champion
from recsys.workspace import Workspace

HOME = os.environ.get("RECSYS_QUICKSTART_HOME")
pytestmark = pytest.mark.skipif(not HOME, reason="RECSYS_QUICKSTART_HOME does not name what a quickstart left behind")


@pytest.fixture
def workspace(monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("RECSYS_HOME", str(Path(str(HOME)).absolute()))
    return Workspace.existing("movielens-100k")


@pytest.fixture
def results(workspace: Workspace) -> dict:
    return json.loads((workspace.reports / "quickstart.json").read_text())


def batches(workspace: Workspace) -> list[Path]:
    return sorted(path.parent for path in workspace.recommendations.glob("*/_SUCCESS"))


def test_it_leaves_a_champion(workspace: Workspace) -> None:
    assert champion(workspace).degraded is None


def test_every_user_gets_twenty_items_of_which_none_was_seen(workspace: Workspace) -> None:
    folders = batches(workspace)
    assert folders
    for folder in folders:
        recommended = pl.read_parquet(folder / "*.parquet")
        users = Catalogue.load(workspace).users["user_id"]
        assert set(recommended["user_id"]) == set(users)
        assert recommended.group_by("user_id").len()["len"].unique().to_list() == [20]
        as_of = recommended["as_of"].unique().cast(pl.Datetime("us")).cast(pl.Int64).to_list()
        assert len(as_of) == 1
        seen = interactions(EventLog(workspace.event_log).read(), WorkspaceSchema.load(workspace.schema_file)).filter(
            pl.col("effective_at") < as_of[0]
        )
        assert recommended.join(seen, on=["user_id", "item_id"], how="inner").is_empty()


def test_the_product_beats_popularity_and_ease(results: dict) -> None:
    compared = results["evaluation"]["comparison"]
    assert compared["model"]["ndcg@10"] > compared["EASE"]["ndcg@10"] > 0
    assert compared["model"]["ndcg@10"] > compared["popularity"]["ndcg@10"] > 0


def test_a_second_run_reuses_the_model(results: dict) -> None:
    if not os.environ.get("RECSYS_QUICKSTART_AGAIN"):
        pytest.skip("RECSYS_QUICKSTART_AGAIN does not say that the quickstart ran twice")
    reused = {step["step"] for step in results["steps"] if step["reused"]}
    assert {"Fit experts and generator", "Evaluate beside the baselines"} <= reused
