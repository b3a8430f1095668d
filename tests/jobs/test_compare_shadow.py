"""What is said of a challenger in the shadow, and that its figures name nobody."""

from __future__ import annotations

import orjson
import pytest
from typer.testing import CliRunner

from recsys.cli.app import build_app
from recsys.data.schema import WorkspaceSchema
from recsys.errors import ConfigError
from recsys.events.shadow_scores import SHADOW_SCHEMA, ShadowLog, ShadowScore
from recsys.jobs.compare_shadow import compare_shadow
from recsys.workspace import Workspace


@pytest.fixture
def workspace():
    made = Workspace.named("shop")
    WorkspaceSchema(name="shop").save(made.schema_file)
    return made


def score(challenger="2", *, ms=2.0, **more):
    return ShadowScore(1, "1", challenger, 4, 1.0, ms, **more)


def test_before_anything_was_scored_it_says_how_to_begin(workspace):
    assert ShadowLog(workspace.impressions).read().schema == SHADOW_SCHEMA
    with pytest.raises(ConfigError, match=r"recsys serve --shadow"):
        compare_shadow(workspace)


def test_agreement_is_averaged_and_failures_are_counted(workspace):
    log = ShadowLog(workspace.impressions)
    log.append([score("9", overlap=0.0, same_first=0)])
    log.append([score(overlap=1.0, correlation=1.0, same_first=1), score(overlap=0.5, same_first=0), score(ms=None)])
    found = compare_shadow(workspace)
    assert (found.champion_version, found.challenger_version) == ("1", "2")
    assert (found.requests, found.failures) == (3, 1)
    assert (found.overlap, found.correlation, found.same_first) == (0.75, 1.0, 0.5)
    assert (found.champion_p50_ms, found.challenger_p95_ms) == (1.0, 2.0)
    assert compare_shadow(workspace, challenger="9").requests == 1


def test_a_challenger_that_always_failed_has_no_figures(workspace):
    ShadowLog(workspace.impressions).append([score(ms=None)] * 2)
    found = compare_shadow(workspace)
    assert (found.requests, found.failures, found.overlap, found.challenger_p50_ms) == (2, 2, None, None)


def test_the_command_prints_a_table_and_json(workspace):
    ShadowLog(workspace.impressions).append([score(overlap=0.5, same_first=1)])
    done = CliRunner().invoke(build_app(), ["compare", "-w", "shop", "--shadow", "--json"])
    assert done.exit_code == 0, done.output
    assert orjson.loads(done.stdout.splitlines()[-1])["overlap"] == 0.5
    assert "50.0%" in done.output


def test_old_scores_go(workspace):
    log = ShadowLog(workspace.impressions)
    log.append([score()])
    log.remove_before(1)
    assert log.read().height == 1
    log.remove_before(2)
    assert log.read().is_empty()
