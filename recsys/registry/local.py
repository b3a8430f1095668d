"""The workspace's own copies of snapshots, filed under their hashes: what serves when the registry cannot be read."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from recsys.durable import canonical_json, new_folder, replace_file, sync
from recsys.errors import SnapshotError
from recsys.registry.manifest import FILES, MANIFEST, verified
from recsys.registry.snapshot import verify_snapshot
from recsys.workspace import Workspace


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


@dataclass(frozen=True, slots=True)
class LastGood:
    """The champion as last promoted: what serves when the registry cannot be read.

    Attributes:
        version: its number in the registry.
        content_hash: what its model files must hash to.
        snapshot_hash: what its whole folder must hash to.
        at: when it was promoted, ISO 8601, UTC.
    """

    version: str
    content_hash: str
    snapshot_hash: str
    at: str


def remember_champion(workspace: Workspace, champion: LastGood) -> None:
    """Writes `champion.json`, in one step."""
    replace_file(champion_file(workspace), canonical_json(asdict(champion)))


def last_good(workspace: Workspace) -> tuple[LastGood, Path] | None:
    """The champion as last promoted and its local folder, not verified yet; None when nothing was ever promoted.

    Raises:
        SnapshotError: `champion.json` is damaged.
    """
    path = champion_file(workspace)
    if not path.is_file():
        return None
    try:
        champion = LastGood(**{name: str(value) for name, value in json.loads(path.read_bytes()).items()})
    except (ValueError, TypeError, AttributeError) as error:
        raise SnapshotError(f"{path} is damaged: promote a version again, which rewrites it.") from error
    return champion, workspace.snapshots / local_name(champion.content_hash, champion.snapshot_hash)


def champion_file(workspace: Workspace) -> Path:
    """What every move of the champion rewrites: a service that looks at it knows of a move at once."""
    return workspace.root / "champion.json"
