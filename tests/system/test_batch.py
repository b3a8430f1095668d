"""The real batch job: every user, nothing seen, the same answers as the service; and the explain job beside it."""

from __future__ import annotations

import orjson
import polars as pl
import pytest

from recsys.cluster import ray_cluster
from recsys.events.log import EventLog
from recsys.jobs.batch import batch
from recsys.jobs.explain import explain

pytestmark = pytest.mark.slow

K = 7


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return tmp_path_factory.mktemp("batch") / "out"


@pytest.fixture(scope="module", autouse=True)
def cluster():
    """One Ray for all runs of this module."""
    with ray_cluster():
        yield


@pytest.fixture(scope="module")
def result(trained, out, cluster):
    return batch(trained, k=K, out=out, partition_users=30)


@pytest.fixture
def frame(result):
    return pl.read_parquet(result.folder / "*.parquet")


def test_every_user_is_there_with_ranks_from_one(frame, trained):
    users = EventLog(trained.event_log).read()["user_id"].unique()
    assert set(frame["user_id"]) == set(users)
    ranks = frame.group_by("user_id").agg(pl.col("rank").sort())["rank"]
    assert {tuple(own) for own in ranks} == {tuple(range(1, K + 1))}


def test_no_seen_item_is_recommended(frame, trained):
    seen = EventLog(trained.event_log).read().select("user_id", "item_id").unique()
    assert frame.join(seen, on=["user_id", "item_id"]).is_empty()


def test_scores_fall_with_rank(frame):
    falling = frame.sort("user_id", "rank").select((pl.col("score").diff().over("user_id") <= 0).fill_null(True).all())
    assert falling.item()


def test_success_tells_what_was_made(result, frame):
    manifest = orjson.loads(result.manifest.read_bytes())
    assert (manifest["users"], manifest["rows"], manifest["k"]) == (result.users, frame.height, K)
    assert manifest["model_version"] == result.model_version == frame["model_version"].unique().item()
    assert len(manifest["partitions"]) == result.partitions == -(-result.users // 30)


def test_a_second_run_keeps_everything(result, trained, out):
    again = batch(trained, k=K, out=out, partition_users=30)
    assert again.kept_partitions == again.partitions == result.partitions


def test_batch_and_service_answer_alike_for_the_same_user_model_and_moment(frame, client):
    for user in ("u10", "u20", "u79"):
        own = frame.filter(pl.col("user_id") == user).sort("rank")
        online = client.recommend(user, k=K).items
        assert own["item_id"].to_list() == [item.item_id for item in online]
        assert own["score"].to_list() == pytest.approx([item.score for item in online], abs=1e-5)


def test_chosen_users_go_to_a_folder_of_their_own(trained, tmp_path):
    (tmp_path / "users.txt").write_text("u3\nghost\n")
    chosen = batch(trained, k=2, users_file=tmp_path / "users.txt")
    assert chosen.folder.parent == trained.recommendations
    assert (chosen.users, chosen.unknown_users) == (2, 1)
    assert pl.read_parquet(chosen.folder / "*.parquet")["user_id"].to_list() == ["u3", "u3", "ghost", "ghost"]


def test_what_is_not_available_is_left_out_by_batch_and_service_alike(trained, client, tmp_path):
    (tmp_path / "users.txt").write_text("u10\n")
    usual = client.recommend("u10", k=K).items
    client.put_item(usual[0].item_id, {"available": False})
    try:
        made = batch(trained, k=K, users_file=tmp_path / "users.txt", out=tmp_path / "out")
        listed = pl.read_parquet(made.folder / "*.parquet").sort("rank")["item_id"].to_list()
        assert usual[0].item_id not in listed
        assert listed == [item.item_id for item in explain(trained, "u10", k=K).recommendations]
        assert listed == [item.item_id for item in client.recommend("u10", k=K).items]
    finally:
        client.put_item(usual[0].item_id, {"available": True})


def test_explanations_are_those_of_the_recommendations_and_add_up(trained, frame):
    found = explain(trained, "u10", k=K)
    own = frame.filter(pl.col("user_id") == "u10").sort("rank")
    assert [item.item_id for item in found.recommendations] == own["item_id"].to_list()
    for item in found.recommendations:
        assert sum(item.experts.values()) == pytest.approx(item.score, abs=1e-4)
    assert found.history[0][1].startswith("Film number")
