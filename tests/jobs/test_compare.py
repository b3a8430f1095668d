"""From a split service to a verdict: replies, events that answer them, and what `recsys compare` makes of both."""

from __future__ import annotations

import time

import numpy as np
import orjson
import pytest
from typer.testing import CliRunner

from recsys.cli.app import build_app
from recsys.data.catalogue import Catalogue
from recsys.data.schema import WorkspaceSchema
from recsys.errors import ConfigError
from recsys.events.impressions import Impression, ImpressionLog
from recsys.jobs.append import append_event
from recsys.jobs.compare import compare
from recsys.jobs.materialise import materialise
from recsys.serving.experiment.splitting import place
from recsys.workspace import Workspace

NOW = time.time_ns() // 1000
SECOND = 1_000_000


@pytest.fixture
def workspace():
    made = Workspace.named("shop")
    schema = WorkspaceSchema(name="shop", repeats=True)
    Catalogue.empty(schema).save(made)
    schema.save(made.schema_file)
    return made


def split(workspace, users, *, share=0.5, versions=("1", "2"), start=NOW):
    """Two replies to each user, dealt out as the service does; the users of each arm."""
    champion, challenger = versions
    arms = {"champion": [], "challenger": []}
    shown = []
    for n in range(users):
        user = f"u{n}"
        arm = "challenger" if place(f"shop:{champion}:{challenger}", user) < share else "champion"
        arms[arm].append(user)
        shown += [
            Impression(
                request_id=f"{user}-{share}-{m}-{challenger}",
                shown_at=start + n + m * SECOND,
                user_id=user,
                model_version=challenger if arm == "challenger" else champion,
                item_ids=("a", "b", "c"),
                arm=arm,
                champion_version=champion,
                challenger_version=challenger,
                propensity=share if arm == "challenger" else 1 - share,
            )
            for m in range(2)
        ]
    ImpressionLog.of(workspace).append(shown)
    return arms


def take(workspace, users, item="a"):
    for user in users:
        append_event(workspace, {"user_id": user, "item_id": item, "timestamp": (NOW + 10 * SECOND) / SECOND})


def test_without_an_experiment_it_says_how_to_begin_one(workspace):
    with pytest.raises(ConfigError, match=r"recsys serve --split"):
        compare(workspace)
    split(workspace, 4)
    with pytest.raises(ConfigError, match=r"of these versions \(1, 9\)"):
        compare(workspace, champion="1", challenger="9")


def test_the_newest_pair_is_compared_unless_another_is_named(workspace):
    split(workspace, 10)
    split(workspace, 20, versions=("2", "3"), start=NOW + 60 * SECOND)
    found = compare(workspace)
    assert (found.champion_version, found.challenger_version) == ("2", "3")
    assert sum(arm.users for arm in found.report.arms) == 20
    assert sum(arm.users for arm in compare(workspace, champion="1").report.arms) == 10


def test_replies_under_another_share_are_left_out_and_told(workspace):
    split(workspace, 30, share=0.2)
    split(workspace, 40, share=0.5, start=NOW + 60 * SECOND)
    found = compare(workspace)
    assert (found.share, found.left_out) == (0.5, 60)
    assert sum(arm.impressions for arm in found.report.arms) == 80


def test_outcomes_are_those_of_the_arms_users_and_of_the_time_allowed(workspace):
    arms = split(workspace, 30)
    take(workspace, arms["challenger"][:3])
    take(workspace, arms["champion"][:2], item="elsewhere")
    champion, challenger = compare(workspace).report.arms
    assert (champion.taken, challenger.taken, challenger.named) == (0, 3, 0)
    assert compare(workspace, within_hours=1 / 3600).report.arms[1].taken == 0


def test_the_command_prints_tables_and_json_and_says_how_many_users_it_takes(workspace):
    arms = split(workspace, 40)
    take(workspace, [*arms["champion"][:4], *arms["challenger"][:5]])
    done = CliRunner().invoke(build_app(), ["compare", "-w", "shop", "--json"], env={"COLUMNS": "160"})
    assert done.exit_code == 0, done.output
    told = orjson.loads(done.stdout.splitlines()[-1])
    assert told["report"]["verdict"] == "too_little_data"
    assert told["report"]["users_needed"] > 40
    assert f"{told['report']['users_needed']:,}" in done.output
    assert "too little data" in done.output


def test_enough_users_by_number_and_no_verdict_is_not_told_as_too_few(workspace):
    arms = split(workspace, 120)
    take(workspace, [*arms["champion"][:5], *arms["challenger"][:5]])
    done = CliRunner().invoke(build_app(), ["compare", "-w", "shop", "--detect", "3"], env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    said = " ".join(done.output.split())
    assert "There are 120 users, as many as a difference of 300% of the champion's figures usually takes" in said
    assert "an arm has too few users" in said


def test_an_unbalanced_split_is_refused_with_its_numbers(workspace):
    ImpressionLog.of(workspace).append(
        [
            Impression(
                request_id=f"r{n}",
                shown_at=NOW,
                user_id=f"u{n}",
                model_version="1",
                item_ids=("a",),
                arm="champion",
                champion_version="1",
                challenger_version="2",
                propensity=0.5,
            )
            for n in range(50)
        ]
    )
    done = CliRunner().invoke(build_app(), ["compare", "-w", "shop", "--json"])
    assert done.exit_code == 1
    assert orjson.loads(done.stdout.splitlines()[-1])["error"] == "UnbalancedSplitError"
    assert "0 of 50 users had the challenger, 25 were expected" in done.output


@pytest.mark.parametrize("option", ["--within", "--detect"])
def test_numbers_that_make_no_sense_are_told(workspace, option):
    done = CliRunner().invoke(build_app(), ["compare", "-w", "shop", option, "0"])
    assert done.exit_code == 2
    assert "above 0" in done.output


@pytest.mark.slow
def test_a_real_service_splits_its_users_and_the_better_arm_is_found(films):
    from fastapi.testclient import TestClient

    from recsys.jobs.models import challenge
    from recsys.registry.champion import load_champion
    from recsys.registry.leases import versions_in_use
    from recsys.registry.tracking import log_run
    from recsys.serving.assembly import assemble
    from recsys.serving.experiment.experiment import ExperimentOptions

    materialise(films)  # it is a copy, whose store still points to where it was copied from
    snapshot = load_champion(films)
    second = log_run(films, snapshot=snapshot, params={}, metrics=snapshot.metrics).model_version
    assert challenge(films, second) is None
    rng, sent = np.random.default_rng(0), {}
    app, _models = assemble(films, options=ExperimentOptions(split=0.5))
    with TestClient(app) as client:
        assert client.get("/v1/model").json()["experiment"]["challenger_version"] == second
        assert set(versions_in_use(films)) == {"1", second}
        for n in range(280):
            reply = client.post("/v1/recommendations", json={"user_id": f"visitor-{n}", "k": 5}).json()
            sent[reply["request_id"]] = reply
            if rng.random() < (0.5 if reply["arm"] == "challenger" else 0.2):
                item = reply["items"][int(rng.integers(0, 5))]["item_id"]
                event = {"user_id": f"visitor-{n}", "item_id": item, "request_id": reply["request_id"]}
                assert client.post("/v1/events", json={"events": [event]}).json()["accepted"] == 1
    shown = ImpressionLog.of(films).read()
    assert dict(zip(shown["request_id"], shown["arm"], strict=True)) == {k: r["arm"] for k, r in sent.items()}
    assert {(r["arm"], r["model_version"]) for r in sent.values()} == {("champion", "1"), ("challenger", second)}
    found = compare(films)
    assert (found.champion_version, found.challenger_version, found.share) == ("1", second, 0.5)
    assert found.report.verdict == "better"
    assert sum(arm.named for arm in found.report.arms) == sum(arm.taken for arm in found.report.arms) > 50


@pytest.mark.slow
def test_what_a_service_showed_before_it_was_told_to_stop_is_on_the_disk(films, tmp_path):
    from recsys.client import Client
    from recsys.serving.processes.process import ServerProcess

    materialise(films)  # it is a copy, whose store still points to where it was copied from
    process = ServerProcess.start(films, "--impressions", log=tmp_path / "serve.log")
    try:
        with Client(process.url) as client:
            sent = [client.recommend(f"u{n:02d}", k=3).request_id for n in range(30)]
    finally:
        stopped = process.stop()
    assert stopped == 0
    assert ImpressionLog.of(films).read()["request_id"].to_list() == sent
