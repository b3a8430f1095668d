"""Moves @champion, forward through the policy and back in one step, and records each move."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING

from recsys.errors import ConfigError, RegistryError
from recsys.registry import client as mlflow_client
from recsys.registry import judging
from recsys.registry.champion import Champion, champion, champion_version, load_champion, no_model
from recsys.registry.history import Move
from recsys.registry.judging import Judge, Verdict
from recsys.registry.moving import kept_champions, make_champion, one_at_a_time, reconciled
from recsys.registry.policy import PromotionPolicy
from recsys.registry.versions import (
    CHALLENGER,
    CHAMPION,
    LIVE_CHALLENGER,
    aliased,
    read_version,
    verified_snapshot,
    version_numbers,
)
from recsys.workspace import Workspace

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["Champion", "Move", "champion", "champion_version", "load_champion", "promote", "rollback"]


class PromotionRefusedError(RegistryError):
    """The policy refuses; `verdict` has what each rule said, `version` the version that was judged."""

    def __init__(self, message: str, verdict: Verdict, version: str) -> None:
        super().__init__(message)
        self.verdict = verdict
        self.version = version


def promote(
    workspace: Workspace,
    version: str | int | None = None,
    *,
    by: str,
    why: str = "",
    force: bool = False,
    dry_run: bool = False,
    policy: PromotionPolicy | None = None,
    judge: Judge | None = None,
) -> Move:
    """Makes a version the champion when the policy lets it. The first one has nothing to beat.

    The version is @challenger while it is judged and stays so when it is refused.

    Args:
        workspace: whose champion.
        version: the version's number; None: the latest.
        by: who moves it, for the record.
        why: their reason; needed with `force`.
        force: move it though the policy refuses.
        dry_run: judge only; no alias, file or record is touched.
        policy: None: the one in mlflow/promotion.toml.
        judge: asks the policy's rules; None: `recsys.registry.judging.judge`.

    Returns:
        The move, recorded (`moved` is False for a dry run and for the present champion).

    Raises:
        ConfigError: there is no model, no such version, or no reason to force it.
        PromotionRefusedError: the policy refuses; the message names the rules, with figures.
        RegistryError: another promotion is under way, or the registry failed.
        SnapshotError: the version's snapshot is damaged, or of another version of this library.
    """
    if force and not why.strip():
        raise ConfigError("Forcing a promotion needs a reason: say why (--why TEXT).")
    policy = policy or PromotionPolicy.load()
    _check_trained(workspace)
    with nullcontext() if dry_run else one_at_a_time(workspace), mlflow_client.registry(workspace) as client:
        candidate = read_version(client, workspace, _chosen(client, workspace, version))
        present = aliased(client, workspace, CHAMPION) if dry_run else reconciled(client, workspace)
        verified_snapshot(workspace, candidate)
        judged_move = partial(
            Move,
            workspace=workspace.name,
            kind="promote",
            version_from=present,
            version_to=candidate.version,
            by=by,
            why=why,
        )
        if present == candidate.version:
            if not dry_run:
                _try_no_longer(client, workspace, present)
            return judged_move(verdict=f"Version {present} is the champion already.", moved=False)
        if not dry_run:
            client.set_registered_model_alias(workspace.registered_model, CHALLENGER, candidate.version)
        opponent = read_version(client, workspace, present) if present else None
        verdict = (judge or judging.judge)(workspace, candidate, opponent, policy)
        if not (verdict.allowed or force):
            raise PromotionRefusedError(
                f"Version {candidate.version} of {workspace.registered_model} is not promoted. {verdict.reason} "
                "Train a better one, or overrule with --force --why TEXT.",
                verdict,
                candidate.version,
            )
        rules = tuple(finding.as_dict() for finding in verdict.findings)
        move = judged_move(verdict=verdict.reason, rules=rules, forced=not verdict.allowed, moved=not dry_run)
        if not dry_run:
            make_champion(client, workspace, candidate, move)
            _try_no_longer(client, workspace, candidate.version)
        return move


def rollback(workspace: Workspace, *, by: str, why: str = "") -> Move:
    """Makes the previous champion the champion again; done twice, the one before that.

    Args:
        workspace: whose champion.
        by: who moves it, for the record.
        why: their reason.

    Returns:
        The move, recorded.

    Raises:
        ConfigError: there is no earlier champion.
        RegistryError: another promotion is under way, or the registry failed.
        SnapshotError: the previous champion's snapshot is damaged.
    """
    _check_trained(workspace)
    with one_at_a_time(workspace), mlflow_client.registry(workspace) as client:
        present = reconciled(client, workspace)
        earlier = kept_champions(client, workspace)
        if present is None or not earlier:
            raise ConfigError(
                f"Workspace '{workspace.name}' has no earlier champion to go back to"
                + (f": version {present} is the first that is kept." if present else ": nothing was promoted yet.")
            )
        previous = read_version(client, workspace, earlier[-1])
        move = Move(
            workspace=workspace.name,
            kind="rollback",
            version_from=present,
            version_to=previous.version,
            by=by,
            why=why,
            verdict="Rollbacks are not judged.",
        )
        make_champion(client, workspace, previous, move)
        _try_no_longer(client, workspace, previous.version)
        return move


def challenge(workspace: Workspace, version: str | int | None) -> str | None:
    """Names the version that services try beside the champion (`recsys serve --split`); the champion stays.

    Args:
        workspace: whose live challenger.
        version: the version's number; None: there is no challenger any more.

    Returns:
        The live challenger before, None when there was none.

    Raises:
        ConfigError: there is no model or no such version, or it is the champion.
        RegistryError: a promotion is under way, or the registry failed.
        SnapshotError: the version's snapshot is damaged.
    """
    _check_trained(workspace)
    with one_at_a_time(workspace), mlflow_client.registry(workspace) as client:
        before = aliased(client, workspace, LIVE_CHALLENGER)
        if version is None:
            if before is not None:
                client.delete_registered_model_alias(workspace.registered_model, LIVE_CHALLENGER)
            return before
        candidate = read_version(client, workspace, _chosen(client, workspace, version))
        if candidate.version == aliased(client, workspace, CHAMPION):
            raise ConfigError(f"Version {candidate.version} is the champion: it cannot be compared with itself.")
        verified_snapshot(workspace, candidate)
        client.set_registered_model_alias(workspace.registered_model, LIVE_CHALLENGER, candidate.version)
        return before


def _try_no_longer(client: MlflowClient, workspace: Workspace, version: str) -> None:
    """Who became champion challenges nobody; a forgotten alias would bring it back to users at the next move."""
    for alias in (CHALLENGER, LIVE_CHALLENGER):
        if aliased(client, workspace, alias) == version:
            client.delete_registered_model_alias(workspace.registered_model, alias)


def _chosen(client: MlflowClient, workspace: Workspace, version: str | int | None) -> str:
    numbers = version_numbers(client, workspace)
    if not numbers:
        raise no_model(workspace)
    if version is None:
        return str(numbers[-1])
    if str(version) not in map(str, numbers):
        raise ConfigError(
            f"{workspace.registered_model} has no version {version}. It has: {', '.join(map(str, numbers))}."
        )
    return str(version)


def _check_trained(workspace: Workspace) -> None:
    if not mlflow_client.exists(workspace):
        raise no_model(workspace)
