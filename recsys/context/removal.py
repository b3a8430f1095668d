"""Removes the part of a feature store that lies in the workspace's folder, at once for whoever reads meanwhile."""

from __future__ import annotations

import shutil
from uuid import uuid4

from recsys.workspace import Workspace


def remove_store(workspace: Workspace) -> None:
    """Moves the folder away in one step, then removes it.

    Removed file by file, the online store of a running service, which is opened anew when its file is gone, could lose
    its write-ahead log alone.
    """
    if workspace.feature_store.is_dir():
        try:
            workspace.feature_store.rename(workspace.root / f"{_prefix(workspace)}{uuid4().hex}")
        except OSError:  # a file system of its own is mounted there
            shutil.rmtree(workspace.feature_store, ignore_errors=True)
    remove_leftovers(workspace)


def remove_leftovers(workspace: Workspace) -> None:
    """Removes what a removal that was interrupted has moved away."""
    for folder in workspace.root.glob(f"{_prefix(workspace)}*"):
        shutil.rmtree(folder, ignore_errors=True)


def _prefix(workspace: Workspace) -> str:
    return f".{workspace.feature_store.name}.removed-"
