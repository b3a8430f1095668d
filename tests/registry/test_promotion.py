import fcntl
import json
import subprocess
import sys
import time

import pytest

from recsys.errors import ConfigError, RegistryError, SnapshotError
from recsys.registry.client import registry
from recsys.registry.history import Move, announce_move, announced_move, moves
from recsys.registry.judging import Verdict
from recsys.registry.promotion import PromotionRefusedError, champion, promote, rollback
from recsys.registry.snapshot import load_snapshot
from recsys.registry.versions import aliased, read_version

pytestmark = pytest.mark.slow


def _alias(workspace, alias: str) -> str | None:
    with registry(workspace) as client:
        return aliased(client, workspace, alias)


def _state(workspace) -> tuple[object, ...]:
    return _alias(workspace, "champion"), _alias(workspace, "challenger"), moves(workspace)


def test_the_first_version_simply_becomes_the_champion(workspace, train):
    train(0.01)
    move = promote(workspace, by="ada", why="first")
    assert (move.version_from, move.version_to, move.moved, move.forced) == (None, "1", True, False)
    assert _alias(workspace, "champion") == "1"
    assert _alias(workspace, "challenger") is None


def test_the_latest_version_is_promoted_unless_another_is_named(workspace, train):
    train(0.3), train(0.3), train(0.3)
    assert promote(workspace, by="ada").version_to == "3"
    assert promote(workspace, 1, by="ada").version_to == "1"
    assert promote(workspace, "2", by="ada").version_to == "2"


def test_a_worse_version_is_refused_with_figures_and_stays_challenger(workspace, train):
    train(0.30), train(0.25)
    promote(workspace, 1, by="ada")
    with pytest.raises(PromotionRefusedError, match=r"quality: 0\.2500 of version 2 against 0\.3000") as refused:
        promote(workspace, by="ada")
    assert [(finding.rule, finding.passed) for finding in refused.value.verdict.findings] == [("quality", False)]
    assert _alias(workspace, "champion") == "1"
    assert _alias(workspace, "challenger") == "2"
    assert len(moves(workspace)) == 1


def test_a_promoted_version_is_challenger_no_longer(workspace, train):
    train(0.30), train(0.25), train(0.35)
    promote(workspace, 1, by="ada")
    with pytest.raises(RegistryError):
        promote(workspace, 2, by="ada")
    promote(workspace, 3, by="ada")
    assert (_alias(workspace, "champion"), _alias(workspace, "challenger")) == ("3", None)


def test_force_overrules_the_policy_and_the_record_says_so(workspace, train):
    train(0.30), train(0.25)
    promote(workspace, 1, by="ada")
    promote(workspace, 2, by="grace", why="the old one leaks", force=True)
    last = moves(workspace)[-1]
    assert _alias(workspace, "champion") == "2"
    assert (last.by, last.why, last.forced, last.version_from, last.version_to) == (
        "grace",
        "the old one leaks",
        True,
        "1",
        "2",
    )
    assert "0.2500" in last.verdict


def test_force_that_was_not_needed_is_not_recorded_as_forced(workspace, train):
    train(0.30)
    assert not promote(workspace, by="ada", why="sure", force=True).forced


def test_force_needs_a_reason(workspace, train):
    train()
    with pytest.raises(ConfigError, match="needs a reason"):
        promote(workspace, by="ada", why="  ", force=True)
    assert _alias(workspace, "champion") is None


def test_a_dry_run_judges_and_touches_nothing(workspace, train):
    train(0.30), train(0.31), train(0.25)
    promote(workspace, 1, by="ada")
    before = _state(workspace), sorted(workspace.root.rglob("*"))
    move = promote(workspace, 2, by="ada", dry_run=True)
    assert not move.moved
    assert "0.3100 of version 2" in move.verdict
    with pytest.raises(RegistryError, match=r"0\.2500 of version 3"):
        promote(workspace, 3, by="ada", dry_run=True)
    assert (_state(workspace), sorted(workspace.root.rglob("*"))) == before


def test_promoting_the_champion_again_changes_nothing(workspace, train):
    train()
    promote(workspace, by="ada")
    before = _state(workspace)
    assert not promote(workspace, by="ada").moved
    assert _state(workspace) == before


def test_an_unknown_version_is_answered_with_those_there_are(workspace, train):
    train(), train()
    with pytest.raises(ConfigError, match=r"recsys-tiny has no version 7\. It has: 1, 2\."):
        promote(workspace, 7, by="ada")


@pytest.mark.parametrize("move", [promote, rollback])
def test_without_a_model_one_is_told_to_train(workspace, move):
    with pytest.raises(ConfigError, match="recsys train --workspace tiny"):
        move(workspace, by="ada")
    assert not workspace.tracking_database.exists()


def test_a_home_in_which_only_others_trained_has_no_model_either(workspace, train):
    train()
    other = type(workspace)(name="other", home=workspace.home)
    with pytest.raises(ConfigError, match="recsys train --workspace other"):
        promote(other, by="ada")


def test_a_damaged_version_is_not_promoted(workspace, train):
    train(), train()
    with registry(workspace) as client:
        registered = read_version(client, workspace, "2")
    (registered.artifact / "config.json").write_text("{}")
    (workspace.snapshots / registered.artifact.name / "weights.safetensors").unlink()
    with pytest.raises(SnapshotError, match=r"config\.json.*weights\.safetensors"):
        promote(workspace, 2, by="ada")
    assert _alias(workspace, "champion") is None


def test_rollback_restores_the_previous_champion_and_then_the_one_before(workspace, train):
    train(), train(), train()
    for version in (1, 2, 3):
        promote(workspace, version, by="ada")
    move = rollback(workspace, by="grace", why="complaints")
    assert (move.version_from, move.version_to, move.by, move.why) == ("3", "2", "grace", "complaints")
    assert champion(workspace).version == "2"
    assert rollback(workspace, by="grace").version_to == "1"
    assert [(m.kind, m.version_to) for m in moves(workspace)[3:]] == [("rollback", "2"), ("rollback", "1")]


@pytest.mark.parametrize("promoted", [0, 1])
def test_there_must_be_a_champion_to_go_back_to(workspace, train, promoted):
    train()
    for _ in range(promoted):
        promote(workspace, by="ada")
    with pytest.raises(ConfigError, match="no earlier champion"):
        rollback(workspace, by="ada")


def test_rollback_refuses_a_damaged_predecessor_and_stays(workspace, train):
    train(), train()
    promote(workspace, 1, by="ada"), promote(workspace, 2, by="ada")
    with registry(workspace) as client:
        registered = read_version(client, workspace, "1")
    for folder in (registered.artifact, workspace.snapshots / registered.artifact.name):
        (folder / "weights.safetensors").write_bytes(b"")
    with pytest.raises(SnapshotError, match=r"weights\.safetensors"):
        rollback(workspace, by="ada")
    assert champion(workspace).version == "2"


def test_a_champion_set_in_mlflow_itself_is_recorded_and_can_be_rolled_back(workspace, train):
    train(), train(), train()
    promote(workspace, 1, by="ada")
    with registry(workspace) as client:
        client.set_registered_model_alias(workspace.registered_model, "champion", "2")
    promote(workspace, 3, by="ada")
    assert [(m.kind, m.version_from, m.version_to) for m in moves(workspace)] == [
        ("promote", None, "1"),
        ("observed", "1", "2"),
        ("promote", "2", "3"),
    ]
    assert rollback(workspace, by="ada").version_to == "2"


def test_a_champion_that_another_machine_made_meanwhile_is_not_overwritten(workspace, train):
    """The lock is this machine's; on a shared tracking server somebody else may promote while this one judges."""
    train(), train(), train()
    promote(workspace, 1, by="ada")

    def judged_slowly(*_):
        with registry(workspace) as client:
            client.set_registered_model_alias(workspace.registered_model, "champion", "2")
        return Verdict(())

    with pytest.raises(RegistryError, match=r"somebody else made version 2 champion .* instead of version 1"):
        promote(workspace, 3, by="ada", judge=judged_slowly)
    assert _alias(workspace, "champion") == "2"
    assert promote(workspace, 3, by="ada", why="better still", force=True).version_from == "2"


def test_the_record_is_one_json_object_a_line(workspace, train):
    train()
    promote(workspace, by="ada", why="first")
    (line,) = (workspace.root / "promotions.jsonl").read_text().splitlines()
    entry = json.loads(line)
    assert (entry["by"], entry["why"], entry["version_from"], entry["version_to"]) == ("ada", "first", None, "1")
    assert entry["at"].endswith("+00:00")


@pytest.mark.parametrize("move", [promote, rollback])
def test_the_second_of_two_at_once_is_told_and_changes_nothing(workspace, train, move):
    train(), train()
    promote(workspace, 1, by="ada"), promote(workspace, 2, by="ada")
    before = _state(workspace)
    with (workspace.root / "promotion.lock").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        held.write("process 77"), held.flush()
        with pytest.raises(RegistryError, match=r"Another promotion, rollback or clean-up is under way \(process 77;"):
            move(workspace, by="grace")
    assert _state(workspace) == before


def test_a_promotion_that_died_does_not_lock_out_the_next(workspace, train):
    train()
    lock = workspace.root / "promotion.lock"
    script = "import fcntl, os, sys; fcntl.flock(open(sys.argv[1], 'a'), fcntl.LOCK_EX); os._exit(9)"
    assert subprocess.run([sys.executable, "-c", script, str(lock)], check=False).returncode == 9
    assert promote(workspace, by="ada").moved


def test_the_champion_is_kept_locally_even_if_the_training_copy_is_gone(workspace, train):
    train()
    for copy in workspace.snapshots.iterdir():
        for file in copy.iterdir():
            file.unlink()
    promote(workspace, by="ada")
    (local,) = workspace.snapshots.iterdir()
    assert load_snapshot(local).snapshot_hash == champion(workspace).snapshot_hash


def test_the_record_keeps_what_each_rule_said(workspace, train):
    train(0.25)
    promote(workspace, by="ada")
    (rule,) = moves(workspace)[0].rules
    assert (rule["rule"], rule["passed"]) == ("quality", True)
    assert "0.2500 of version 1" in str(rule["said"])


@pytest.mark.parametrize("where", ["remember_champion", "record_move"])
def test_a_move_cut_short_is_recorded_with_who_and_why(workspace, train, monkeypatch, where):
    train(), train()
    promote(workspace, 1, by="ada")
    with monkeypatch.context() as patch:
        patch.setattr(f"recsys.registry.moving.{where}", lambda *arguments: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            promote(workspace, 2, by="grace", why="better")
    assert _alias(workspace, "champion") == "2"
    assert rollback(workspace, by="ada").version_to == "1"
    assert [(m.kind, m.by, m.why) for m in moves(workspace)[1:]] == [
        ("promote", "grace", "better"),
        ("rollback", "ada", ""),
    ]


def test_a_move_that_was_announced_and_never_made_is_forgotten(workspace, train):
    train(), train(), train()
    promote(workspace, 1, by="ada")
    never = Move(workspace="tiny", kind="promote", version_from="1", version_to="2", by="x", why="", verdict="")
    announce_move(workspace, never)
    promote(workspace, 3, by="ada")
    assert [(m.kind, m.version_to) for m in moves(workspace)] == [("promote", "1"), ("promote", "3")]
    assert announced_move(workspace) is None


CONTENDER = """
import sys, time
from pathlib import Path
from recsys.errors import RegistryError
from recsys.registry.judging import Verdict
from recsys.registry.promotion import promote
from recsys.registry.rules import Finding
from recsys.workspace import Workspace

home, version, go_on = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])

def slowly(*arguments):
    while not go_on.exists():
        time.sleep(0.05)
    return Verdict((Finding("quality", True, "good"),))

print("ready", flush=True)
sys.stdin.readline()
try:
    print(promote(Workspace("tiny", home), version, by=f"contender {version}", judge=slowly).version_to, flush=True)
except RegistryError as error:
    print(f"told: {error}", flush=True)
"""


def test_of_two_promotions_at_once_one_wins_and_the_other_is_told(workspace, train, tmp_path):
    train(), train()
    go_on = tmp_path / "go-on"
    both = [
        subprocess.Popen(
            [sys.executable, "-c", CONTENDER, str(workspace.home), version, str(go_on)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for version in ("1", "2")
    ]
    for contender in both:
        assert contender.stdout.readline() == "ready\n"
    for contender in both:
        contender.stdin.write("\n")
        contender.stdin.flush()
    while all(contender.poll() is None for contender in both):
        time.sleep(0.05)
    go_on.touch()
    said = {
        version: contender.communicate(timeout=300)[0].strip() for version, contender in zip("12", both, strict=True)
    }
    (winner,) = [version for version, text in said.items() if text == version]
    (loser,) = [version for version in said if version != winner]
    assert said[loser].startswith("told: Another promotion, rollback or clean-up is under way (process ")
    assert champion(workspace).version == winner
    assert [move.by for move in moves(workspace)] == [f"contender {winner}"]
