"""Moves @champion, forward through the policy and back in one step, and records each move."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import TYPE_CHECKING

from recsys.errors import ConfigError, RegistryError
from recsys.registry import client as mlflow_client
from recsys.registry.champion import Champion, champion, champion_version, load_champion, no_model
from recsys.registry.history import Move, champions, moves, record_move
from recsys.registry.local import LastGood, keep_snapshot, remember_champion
from recsys.registry.locks import exclusive
from recsys.registry.policy import PromotionPolicy, judge
from recsys.registry.versions import (
    CHALLENGER,
    CHAMPION,
    RegisteredVersion,
    aliased,
    read_version,
    verified_snapshot,
    version_numbers,
)
from recsys.workspace import Workspace

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["Champion", "Move", "champion", "champion_version", "load_champion", "promote", "rollback"]

OUTSIDE = "unknown (outside recsys)"


def promote(
    workspace: Workspace,
    version: str | int | None = None,
    *,
    by: str,
    why: str = "",
    force: bool = False,
    dry_run: bool = False,
    policy: PromotionPolicy | None = None,
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

    Returns:
        The move, recorded (`moved` is False for a dry run and for the present champion).

    Raises:
        ConfigError: there is no model, no such version, or no reason to force it.
        RegistryError: the policy refuses (with figures), another promotion is under way, or the registry failed.
        SnapshotError: the version's snapshot is damaged.
    """
    if force and not why.strip():
        raise ConfigError("Forcing a promotion needs a reason: say why (--why TEXT).")
    policy = policy or PromotionPolicy.load()
    _check_trained(workspace)
    with nullcontext() if dry_run else _one_at_a_time(workspace), mlflow_client.registry(workspace) as client:
        candidate = read_version(client, workspace, _chosen(client, workspace, version))
        present = aliased(client, workspace, CHAMPION) if dry_run else _reconciled(client, workspace)
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
            return judged_move(verdict=f"Version {present} is the champion already.", moved=False)
        if not dry_run:
            client.set_registered_model_alias(workspace.registered_model, CHALLENGER, candidate.version)
        verdict = judge(policy, candidate, read_version(client, workspace, present) if present else None)
        if not (verdict.allowed or force):
            raise RegistryError(
                f"Version {candidate.version} of {workspace.registered_model} is not promoted: {verdict.reason} "
                "Train a better one, or overrule with --force --why TEXT."
            )
        move = judged_move(verdict=verdict.reason, forced=not verdict.allowed, moved=not dry_run)
        if not dry_run:
            _make_champion(client, workspace, candidate, move)
            client.delete_registered_model_alias(workspace.registered_model, CHALLENGER)
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
    with _one_at_a_time(workspace), mlflow_client.registry(workspace) as client:
        present = _reconciled(client, workspace)
        earlier = champions(moves(workspace))[:-1]
        if present is None or not earlier:
            raise ConfigError(
                f"Workspace '{workspace.name}' has no earlier champion to go back to"
                + (f": version {present} is its first." if present else ": nothing was promoted yet.")
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
        _make_champion(client, workspace, previous, move)
        return move


def _make_champion(client: MlflowClient, workspace: Workspace, registered: RegisteredVersion, move: Move) -> None:
    """Local copy first, so that whatever is champion can always be served; a crash later is seen by `_reconciled`."""
    keep_snapshot(verified_snapshot(workspace, registered), workspace.snapshots)
    client.set_registered_model_alias(workspace.registered_model, CHAMPION, registered.version)
    remember_champion(
        workspace, LastGood(registered.version, registered.content_hash, registered.snapshot_hash, move.at)
    )
    record_move(workspace, move)


def _reconciled(client: MlflowClient, workspace: Workspace) -> str | None:
    """The present champion; where it is not the one recorded last (moved in MLflow, or a crash), that is recorded."""
    present = aliased(client, workspace, CHAMPION)
    recorded = champions(moves(workspace))
    last = recorded[-1] if recorded else None
    if present is not None and present != last:
        observed = Move(
            workspace=workspace.name,
            kind="observed",
            version_from=last,
            version_to=present,
            by=OUTSIDE,
            why="Found so at the next move.",
            verdict="Not judged.",
        )
        record_move(workspace, observed)
    return present


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


def _one_at_a_time(workspace: Workspace) -> AbstractContextManager[None]:
    return exclusive(workspace.root / "promotion.lock", "promotion or rollback")
