"""Moves @champion together with its local copy and its record: one mover at a time, and no move is ever lost."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from recsys.errors import RegistryError
from recsys.registry.history import (
    Move,
    announce_move,
    announced_move,
    champions,
    moves,
    record_move,
    withdraw_move,
)
from recsys.registry.local import LastGood, keep_snapshot, remember_champion
from recsys.registry.locks import exclusive
from recsys.registry.versions import (
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

OUTSIDE = "unknown (outside recsys)"


def one_at_a_time(workspace: Workspace) -> AbstractContextManager[None]:
    """Held while the champion is moved or versions are thrown away; whoever comes second is told.

    Raises:
        RegistryError: on entering, another process holds it.
    """
    return exclusive(workspace.root / "promotion.lock", "promotion, rollback or clean-up")


def make_champion(client: MlflowClient, workspace: Workspace, registered: RegisteredVersion, move: Move) -> None:
    """Local copy first, so that whatever is champion can always be served; `reconciled` sees to one cut short.

    Raises:
        RegistryError: the champion is another one than the move begins from: the lock holds on this machine alone.
    """
    keep_snapshot(verified_snapshot(workspace, registered), workspace.snapshots)
    present = aliased(client, workspace, CHAMPION)
    if present != move.version_from:
        raise RegistryError(
            f"Meanwhile somebody else made {_named(present)} champion of {workspace.registered_model} instead of "
            f"{_named(move.version_from)}: nothing was changed. Look who (recsys models list), and try again."
        )
    announce_move(workspace, move)
    client.set_registered_model_alias(workspace.registered_model, CHAMPION, registered.version)
    _write_down(workspace, registered, move)


def _named(version: str | None) -> str:
    return "no version" if version is None else f"version {version}"


def _write_down(workspace: Workspace, registered: RegisteredVersion, move: Move) -> None:
    remember_champion(
        workspace, LastGood(registered.version, registered.content_hash, registered.snapshot_hash, move.at)
    )
    record_move(workspace, move)


def reconciled(client: MlflowClient, workspace: Workspace) -> str | None:
    """The present champion; a move that is not recorded (cut short by a crash, or made in MLflow) is recorded now."""
    present = aliased(client, workspace, CHAMPION)
    announced = announced_move(workspace)
    recorded = champions(moves(workspace))
    last = recorded[-1] if recorded else None
    if present is not None and present != last:
        if announced is not None and announced.version_to == present:
            _write_down(workspace, read_version(client, workspace, present), announced)
            return present
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
    withdraw_move(workspace)
    return present


def kept_champions(client: MlflowClient, workspace: Workspace) -> list[str]:
    """The champions before the present one that are still registered, the newest last."""
    registered = set(map(str, version_numbers(client, workspace)))
    return [version for version in champions(moves(workspace))[:-1] if version in registered]
