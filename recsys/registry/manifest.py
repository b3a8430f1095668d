"""The manifest of a snapshot folder: which files belong to it and their SHA-256. Must not know what they hold."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from recsys.durable import canonical_json
from recsys.errors import SnapshotError

MANIFEST = "manifest.json"
FORMAT = 1
LARGEST_MANIFEST = 65_536
"""Bytes; a manifest of ours has some two thousand, and nothing larger is read."""

# What the model does depends on these alone; times, run ids and metrics stand in the other files.
WEIGHTS = "weights.safetensors"
MODEL_FILES = (
    WEIGHTS,
    "config.json",
    "vocabulary.json",
    "schema.toml",
    "profile.json",
    "calibration.json",
)
RECORD_FILES = ("metrics.json", "lineage.json", "MODEL_CARD.md")
FILES = MODEL_FILES + RECORD_FILES


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a snapshot's files must hash to.

    Attributes:
        files: SHA-256 (hex) by file name, one entry for each of `FILES`.
        sizes: length in bytes by file name.
    """

    files: Mapping[str, str]
    sizes: Mapping[str, int]

    @property
    def content_hash(self) -> str:
        """SHA-256 over the model-defining files: the same for the same model, whenever and wherever it was made."""
        return hashlib.sha256(canonical_json({name: self.files[name] for name in MODEL_FILES})).hexdigest()

    @property
    def snapshot_hash(self) -> str:
        """SHA-256 over all files, records included. It stands in the manifest, which so vouches for itself."""
        return hashlib.sha256(canonical_json(self._entries())).hexdigest()

    def to_bytes(self) -> bytes:
        """What `manifest.json` holds: the same bytes for the same files."""
        head = {"format": FORMAT, "content_hash": self.content_hash, "snapshot_hash": self.snapshot_hash}
        return canonical_json(head | {"files": self._entries()})

    def _entries(self) -> dict[str, dict[str, object]]:
        return {name: {"bytes": self.sizes[name], "sha256": self.files[name]} for name in FILES}

    @classmethod
    def of(cls, folder: Path) -> Manifest:
        """The manifest that the files in a folder call for."""
        return cls(
            files={name: file_hash(folder / name) for name in FILES},
            sizes={name: (folder / name).stat().st_size for name in FILES},
        )

    @classmethod
    def from_bytes(cls, content: bytes, where: Path) -> Manifest:
        """Reads a manifest and insists on its exact form.

        Raises:
            SnapshotError: it is not the manifest of a whole snapshot in this format.
        """
        try:
            raw = json.loads(content)
            found = raw["format"]
            if type(found) is int and found > FORMAT:
                raise SnapshotError(
                    f"{where} has format {found}, this recsys reads format {FORMAT}: use the recsys that wrote it."
                )
            manifest = cls(
                files={name: str(entry["sha256"]) for name, entry in raw["files"].items()},
                sizes={name: int(entry["bytes"]) for name, entry in raw["files"].items()},
            )
            whole = manifest.to_bytes() == content
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
            whole = False
        if not whole:
            raise SnapshotError(f"{where} is damaged: it is not a manifest as recsys writes it. {REMEDY}")
        return manifest


REMEDY = "Nothing was loaded. Restore the folder from a copy, promote another version, or train again."


def verified(folder: Path) -> Manifest:
    """Checks every file of a snapshot folder against its manifest.

    Returns:
        The manifest, all of whose files are there, unchanged, and alone.

    Raises:
        SnapshotError: naming every file that is missing, changed, or does not belong.
    """
    manifest = read_manifest(folder)
    _refuse(folder, [_problem(manifest, folder / name, partial(file_hash, folder / name)) for name in FILES])
    return manifest


def verified_contents(folder: Path, weights_hash: Callable[[], str]) -> tuple[Manifest, Mapping[str, bytes]]:
    """The same, and the bytes of all files but the weights: what is parsed is what was checked.

    Args:
        folder: the snapshot.
        weights_hash: hashes the weights, asked only when a plain file of the right size is there.

    Returns:
        The manifest, and contents by file name.

    Raises:
        SnapshotError: as `verified`.
    """
    manifest = read_manifest(folder)
    contents: dict[str, bytes] = {}

    def read(name: str) -> str:
        contents[name] = (folder / name).read_bytes()
        return hashlib.sha256(contents[name]).hexdigest()

    hashes = {name: weights_hash if name == WEIGHTS else partial(read, name) for name in FILES}
    _refuse(folder, [_problem(manifest, folder / name, hashes[name]) for name in FILES])
    return manifest, contents


def read_manifest(folder: Path) -> Manifest:
    """A folder's manifest, whole in itself; nothing is said of the files that it lists.

    Raises:
        SnapshotError: there is none, or it is damaged.
    """
    if not folder.is_dir():
        raise SnapshotError(f"There is no snapshot at {folder}. {REMEDY}")
    path = folder / MANIFEST
    if not path.is_file() or path.is_symlink():
        raise SnapshotError(f"The snapshot {folder} has no {MANIFEST}: it is unfinished or damaged. {REMEDY}")
    if path.stat().st_size > LARGEST_MANIFEST:
        raise SnapshotError(f"{path} is damaged: it has {path.stat().st_size:,} bytes. {REMEDY}")
    return Manifest.from_bytes(path.read_bytes(), path)


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes, as hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _refuse(folder: Path, problems: Sequence[str | None]) -> None:
    """Refuses a folder for problems of its files (None: no problem) and for what does not belong there."""
    present = {entry.name for entry in folder.iterdir()}
    strangers = [f"{name} does not belong there" for name in sorted(present - {MANIFEST, *FILES})]
    told = [*filter(None, problems), *strangers]
    if told:
        raise SnapshotError(f"The snapshot {folder} is damaged: {'; '.join(told)}. {REMEDY}")


def _problem(manifest: Manifest, path: Path, hashed: Callable[[], str]) -> str | None:
    if path.is_symlink() or (path.exists() and not path.is_file()):
        return f"{path.name} is not a plain file"
    if not path.exists():
        return f"{path.name} is missing"
    size, expected = path.stat().st_size, manifest.sizes[path.name]
    if size != expected:
        return f"{path.name} has {size} bytes instead of {expected}"
    return None if hashed() == manifest.files[path.name] else f"{path.name} has changed since it was written"
