"""The jobs around a workspace's versions: which there are, who moved the champion when and why, and clearing up."""

from __future__ import annotations

from recsys.registry import promotion, retention
from recsys.registry.history import Move, moves
from recsys.registry.listing import ListedVersion, listed_version, listed_versions
from recsys.registry.retention import DEFAULT_KEEP, Collected
from recsys.workspace import Workspace

__all__ = [
    "DEFAULT_KEEP",
    "Collected",
    "ListedVersion",
    "Move",
    "challenge",
    "collect",
    "history",
    "version",
    "versions",
]


def versions(workspace: Workspace) -> list[ListedVersion]:
    """All versions, oldest first.

    Raises:
        ConfigError: nothing was trained here.
        RegistryError: the registry cannot be read.
    """
    return listed_versions(workspace)


def version(workspace: Workspace, number: str) -> ListedVersion:
    """One version with its lineage; same errors, and ConfigError where there is no such version."""
    return listed_version(workspace, number)


def history(workspace: Workspace) -> list[Move]:
    """Every recorded move of the champion, oldest first.

    Raises:
        RegistryError: the record is damaged.
    """
    return moves(workspace)


def challenge(workspace: Workspace, version: str | None) -> str | None:
    """Names the challenger; see `recsys.registry.promotion.challenge`, whose errors it passes on."""
    return promotion.challenge(workspace, version)


def collect(workspace: Workspace, *, keep: int = DEFAULT_KEEP, dry_run: bool = False) -> Collected:
    """Throws away old versions; see `recsys.registry.retention.collect`, whose errors it passes on."""
    return retention.collect(workspace, keep=keep, dry_run=dry_run)
