"""Naming the challenger moves one alias: the champion stays, and only what could serve can be named."""

from __future__ import annotations

import pytest

from recsys.errors import ConfigError, SnapshotError
from recsys.registry.champion import champion_version
from recsys.registry.client import registry
from recsys.registry.judging import Verdict
from recsys.registry.promotion import PromotionRefusedError, challenge, promote, rollback
from recsys.registry.rules import Finding
from recsys.registry.versions import LIVE_CHALLENGER, aliased, read_version


def challenger(workspace):
    with registry(workspace) as client:
        return aliased(client, workspace, LIVE_CHALLENGER)


@pytest.fixture
def versions(workspace, train):
    train(), train(), train()
    promote(workspace, "1", by="ada")


def test_a_challenger_is_named_replaced_and_taken_back(workspace, versions):
    assert challenge(workspace, "2") is None
    assert challenge(workspace, 3) == "2"
    assert challenger(workspace) == "3"
    assert challenge(workspace, None) == "3"
    assert challenge(workspace, None) is None
    assert challenger(workspace) is None
    assert champion_version(workspace) == "1"


def test_the_champion_and_what_does_not_exist_cannot_be_named(workspace, versions):
    with pytest.raises(ConfigError, match="is the champion"):
        challenge(workspace, "1")
    with pytest.raises(ConfigError, match="no version 9"):
        challenge(workspace, "9")
    assert challenger(workspace) is None


def test_a_damaged_version_cannot_be_named(workspace, versions):
    with registry(workspace) as client:
        found = read_version(client, workspace, "2")
    for folder in (found.artifact, found.local(workspace)):
        (folder / "weights.safetensors").write_bytes(b"other weights")
    with pytest.raises(SnapshotError):
        challenge(workspace, "2")
    assert challenger(workspace) is None


def test_a_promoted_challenger_challenges_no_longer(workspace, versions):
    challenge(workspace, "2")
    promote(workspace, "2", by="ada", why="it won", force=True)
    assert (champion_version(workspace), challenger(workspace)) == ("2", None)


def test_a_challenger_that_a_rollback_makes_champion_challenges_no_longer(workspace, versions):
    promote(workspace, "2", by="ada", why="it won", force=True)
    challenge(workspace, "1")
    rollback(workspace, by="ada")
    assert (champion_version(workspace), challenger(workspace)) == ("1", None)


def test_what_a_promotion_that_was_cut_short_left_goes_with_the_next(workspace, versions):
    with registry(workspace) as client:
        client.set_registered_model_alias(workspace.registered_model, LIVE_CHALLENGER, "1")
    assert not promote(workspace, "1", by="ada").moved
    assert challenger(workspace) is None


def test_a_version_that_is_judged_or_refused_meets_no_user(workspace, versions):
    seen = []

    def refuse(*_):
        seen.append(challenger(workspace))
        return Verdict((Finding("quality", False, "worse"),))

    with pytest.raises(PromotionRefusedError):
        promote(workspace, "2", by="ada", judge=refuse)
    assert (seen, challenger(workspace)) == ([None], None)


def test_without_a_model_one_is_told_to_train(workspace):
    with pytest.raises(ConfigError, match="recsys train"):
        challenge(workspace, "1")
