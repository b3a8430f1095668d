"""The jobs that move a workspace's champion: forward through the policy, and back."""

from __future__ import annotations

from recsys.registry import promotion
from recsys.registry.history import Move
from recsys.registry.promotion import PromotionRefusedError
from recsys.workspace import Workspace

__all__ = ["PromotionRefusedError", "promote", "rollback"]


def promote(
    workspace: Workspace,
    version: str | None = None,
    *,
    by: str,
    why: str = "",
    force: bool = False,
    dry_run: bool = False,
) -> Move:
    """Makes a version (None: the latest) the champion when the shipped policy lets it.

    Args:
        workspace: whose champion.
        version: the version's number.
        by: who moves it, for the record.
        why: their reason; needed with `force`.
        force: move it though the policy refuses.
        dry_run: judge only.

    Returns:
        The move and the policy's figures.

    Raises:
        ConfigError: there is no model, no such version, or no reason to force it.
        PromotionRefusedError: the policy refuses.
        RegistryError: another promotion is under way, or the registry failed.
        SnapshotError: the version's snapshot is damaged.
    """
    return promotion.promote(workspace, version, by=by, why=why, force=force, dry_run=dry_run)


def rollback(workspace: Workspace, *, by: str, why: str = "") -> Move:
    """Makes the previous champion the champion again.

    Args:
        workspace: whose champion.
        by: who moves it, for the record.
        why: their reason.

    Returns:
        The move.

    Raises:
        ConfigError: there is no earlier champion.
        RegistryError: another promotion is under way, or the registry failed.
        SnapshotError: the previous champion's snapshot is damaged.
    """
    return promotion.rollback(workspace, by=by, why=why)
