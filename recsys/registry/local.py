"""The workspace's own copies of snapshots, filed under their hashes: what serves when the registry cannot be read."""

from __future__ import annotations

import shutil
from pathlib import Path

from recsys.errors import SnapshotError
from recsys.registry.durable import new_folder, sync
from recsys.registry.manifest import FILES, MANIFEST, verified
from recsys.registry.snapshot import verify_snapshot


def keep_snapshot(source: Path, snapshots: Path) -> Path:
    """Copies a verified snapshot among a workspace's local ones, under its hashes; a damaged copy there is renewed.

    Args:
        source: a snapshot folder, anywhere.
        snapshots: the folder of local snapshots.

    Returns:
        `snapshots / <16 digits of the content hash>-<8 of the snapshot hash>`.

    Raises:
        SnapshotError: the source is damaged.
    """
    manifest = verified(source)
    kept = snapshots / local_name(manifest.content_hash, manifest.snapshot_hash)
    if _is_intact(kept, manifest.snapshot_hash):
        return kept
    shutil.rmtree(kept, ignore_errors=True)
    try:
        with new_folder(kept) as unfinished:
            for name in (*FILES, MANIFEST):
                shutil.copyfile(source / name, unfinished / name)
                sync(unfinished / name)
            verify_snapshot(unfinished, snapshot_hash=manifest.snapshot_hash)
    except FileExistsError:
        verify_snapshot(kept, snapshot_hash=manifest.snapshot_hash)
    return kept


def local_name(content_hash: str, snapshot_hash: str) -> str:
    """The folder name of a local snapshot."""
    return f"{content_hash[:16]}-{snapshot_hash[:8]}"


def _is_intact(folder: Path, snapshot_hash: str) -> bool:
    try:
        verify_snapshot(folder, snapshot_hash=snapshot_hash)
    except SnapshotError:
        return False
    return True
