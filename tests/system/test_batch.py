"""The real batch job: every user, nothing seen, the same answers as the service; and the explain job beside it."""

from __future__ import annotations

import json
import os
import subprocess

import orjson
import polars as pl
import pytest
from typer.testing import CliRunner

from recsys.batch.job import BatchError
from recsys.batch.sink import SUCCESS
from recsys.cli._filters import typed_filters
from recsys.cli.app import build_app
from recsys.cluster import ray_cluster
from recsys.data.catalogue import Catalogue
from recsys.events.log import EventLog
from recsys.jobs.batch import batch
from recsys.jobs.batch_rules import Wishes
from recsys.jobs.explain import explain
from recsys.registry.champion import champion
from recsys.registry.loading import load_recommender
from recsys.registry.snapshot import load_snapshot

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


def test_a_frame_of_events_gives_what_the_batch_gives(frame, trained):
    model = champion(trained)
    recommender = load_recommender(load_snapshot(model.folder, snapshot_hash=model.snapshot_hash), model.version)
    events = EventLog(trained.event_log).read().rename({"occurred_at": "timestamp"})
    asked = recommender.recommend_frame(events, k=K, profiles=Catalogue.load(trained).users).sort("user_id", "rank")
    made = frame.sort("user_id", "rank")
    assert asked.drop("score").equals(made.select("user_id", "rank", "item_id"))
    assert asked["score"].to_list() == pytest.approx(made["score"].to_list(), abs=1e-5)


WISHES = (
    {"filters": [{"column": "title", "op": "contains", "value": "number 1"}]},
    {"exclude_items": ["f3", "f11", "f12"]},
    {"include_only": ["f1", "f2", "f20", "f21", "f30", "f31", "unheard-of"]},
    {
        "filters": [{"column": "title", "op": "lacks", "value": "2"}],
        "exclude_items": ["f1", "f3"],
        "include_only": [f"f{n}" for n in range(0, 40, 3)],
    },
)


@pytest.mark.parametrize("asked", WISHES)
def test_everybody_gets_from_a_batch_what_the_service_answers_to_the_same_wishes(trained, client, tmp_path, asked):
    files = {name: tmp_path / f"{name}.txt" for name in ("exclude_items", "include_only") if name in asked}
    for name, file in files.items():
        file.write_text("\n".join(asked[name]))
    conditions = typed_filters([json.dumps(one) for one in asked.get("filters", [])])
    made = batch(trained, k=K, out=tmp_path / "out", wishes=Wishes(conditions, **files), partition_users=30)
    listed = pl.read_parquet(made.folder / "*.parquet").sort("user_id", "rank")
    of_user = {user: own for (user,), own in listed.group_by("user_id")}
    for user in EventLog(trained.event_log).read()["user_id"].unique():
        online = client.recommend(user, k=K, **asked).items
        own = of_user.get(user, listed.clear())
        assert own["item_id"].to_list() == [item.item_id for item in online], user
        assert own["score"].to_list() == pytest.approx([item.score for item in online], abs=1e-5), user


def test_a_run_with_other_wishes_goes_to_another_folder_and_keeps_nothing_of_the_first(trained, tmp_path):
    (tmp_path / "users.txt").write_text("u3\n")
    (tmp_path / "items.txt").write_text("f3\n")
    asked = {"k": 2, "users_file": tmp_path / "users.txt"}
    usual, fewer = batch(trained, **asked), batch(trained, **asked, wishes=Wishes(exclude_items=tmp_path / "items.txt"))
    lines = batch(trained, **asked, form="jsonl")
    assert len({usual.folder, fewer.folder, lines.folder}) == 3
    assert (fewer.kept_partitions, lines.kept_partitions) == (0, 0)
    read = pl.read_ndjson(lines.folder / "*.jsonl")
    assert read["item_id"].to_list() == pl.read_parquet(usual.folder / "*.parquet")["item_id"].to_list()


def test_the_command_takes_users_filters_lists_and_a_format(workspace, tmp_path):
    (tmp_path / "users.csv").write_text("user_id,name\nu3,Ann\nu4,Bob\nu3,Ann\n")
    (tmp_path / "items.txt").write_text("f1\nf10\n")
    command = [
        "batch",
        "-w",
        workspace.name,
        "--k",
        "3",
        "--users",
        f"{tmp_path}/users.csv",
        "--format",
        "csv",
        "--json",
    ]
    command += ["--filter", '{"column": "title", "op": "contains", "value": "number 1"}', "--out", f"{tmp_path}/out"]
    result = CliRunner().invoke(build_app(), [*command, "--exclude-items", f"{tmp_path}/items.txt"])
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout.splitlines()[-1])
    rows = pl.read_csv(tmp_path / "out" / "part-00000.csv")
    assert (told["users"], told["rows"], told["partitions"]) == (2, rows.height, 1)
    assert set(rows["user_id"]) == {"u3", "u4"}
    assert set(rows["item_id"]) <= {f"f1{n}" for n in range(1, 10)}
    assert orjson.loads((tmp_path / "out" / SUCCESS).read_bytes())["filters"][0]["column"] == "title"


def test_a_full_disk_ends_a_batch_in_one_sentence_and_the_next_run_goes_on(trained, tmp_path):
    if os.geteuid():
        pytest.skip("this process may not mount a file system")
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32k", "tmpfs", disk], check=False).returncode:
        pytest.skip("this process may not mount a file system")
    try:
        with pytest.raises(BatchError, match=r"^The batch stopped: there is no room in .*run the same command again"):
            batch(trained, k=40, out=disk / "out", partition_users=8)
        assert not (disk / "out" / SUCCESS).exists()
        parts = len(list((disk / "out").glob("*.parquet")))
        subprocess.run(["mount", "-o", "remount,size=2m", disk], check=True)
        again = batch(trained, k=40, out=disk / "out", partition_users=8)
        assert parts <= again.kept_partitions < again.partitions, "actors that were at it may have finished one more"
    finally:
        subprocess.run(["umount", disk], check=True)


def test_explanations_are_those_of_the_recommendations_and_add_up(trained, frame):
    found = explain(trained, "u10", k=K)
    own = frame.filter(pl.col("user_id") == "u10").sort("rank")
    assert [item.item_id for item in found.recommendations] == own["item_id"].to_list()
    for item in found.recommendations:
        assert sum(item.experts.values()) == pytest.approx(item.score, abs=1e-4)
    assert found.history[0][1].startswith("Film number")
