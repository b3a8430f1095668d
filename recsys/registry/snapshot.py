"""A snapshot: one immutable, hashed folder with all that is needed to score. Knows files, not what the model does.

The vocabulary is the item index: item i + 1 of every tensor is `vocabulary[i]`, and scoring is exact, over all of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from recsys.data.schema import WorkspaceSchema
from recsys.durable import canonical_json, new_folder, sync, write_durably
from recsys.errors import SnapshotError
from recsys.registry.manifest import MANIFEST, REMEDY, WEIGHTS, Manifest, verified, verified_contents
from recsys.registry.parts import SCHEMA_FILE, SnapshotParts
from recsys.registry.weights import HeldWeights

__all__ = ["SCHEMA_FILE", "Snapshot", "load_snapshot", "verify_snapshot", "write_snapshot"]


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """A verified snapshot; its tensors are mapped from the file, everything else is read.

    Attributes:
        folder: where it lies.
        tensors: the model's tensors by name, on the CPU.
        config: the resolved configuration it was trained with.
        vocabulary: item ids; item index i + 1 is `vocabulary[i]`.
        schema: the workspace's schema at training time.
        profile: the profile encoding, as its `to_dict` wrote it.
        calibration: how scores become probabilities.
        metrics: what the training run measured.
        lineage: where it came from: data position, code, run, times, what the calibration was fitted on.
        content_hash: SHA-256 over the model-defining files; equal for equal models.
        snapshot_hash: SHA-256 over everything, records included.
    """

    folder: Path
    tensors: Mapping[str, Tensor]
    config: Mapping[str, object]
    vocabulary: tuple[str, ...]
    schema: WorkspaceSchema
    profile: Mapping[str, object]
    calibration: Mapping[str, object]
    metrics: Mapping[str, object]
    lineage: Mapping[str, object]
    content_hash: str
    snapshot_hash: str


def write_snapshot(
    folder: Path,
    *,
    tensors: Mapping[str, Tensor],
    config: Mapping[str, object],
    vocabulary: Sequence[str],
    schema: WorkspaceSchema,
    profile: Mapping[str, object],
    calibration: Mapping[str, object],
    metrics: Mapping[str, object],
    card: str,
    lineage: Mapping[str, object],
) -> Snapshot:
    """Writes a snapshot folder: whole, on the disk, or not at all.

    Args:
        folder: where to; it must not exist yet.
        tensors: the model's tensors by name, all finite.
        config: the resolved configuration.
        vocabulary: item ids, all different; item index i + 1 is `vocabulary[i]`.
        schema: the workspace's schema.
        profile: the profile encoding's `to_dict`.
        calibration: how scores become probabilities.
        metrics: what the run measured.
        card: the model card, markdown.
        lineage: where it came from: data position, code, run, times.

    Returns:
        The snapshot as `load_snapshot` reads it back.

    Raises:
        SnapshotError: the folder exists, a tensor is not finite, or something is not plain JSON.
    """
    if not all(isinstance(item_id, str) for item_id in vocabulary) or len(set(vocabulary)) != len(vocabulary):
        raise SnapshotError("The vocabulary must list different item ids, all strings: nothing was written.")
    parts = {
        "config": config,
        "vocabulary": list(vocabulary),
        "profile": profile,
        "calibration": calibration,
        "metrics": metrics,
        "lineage": lineage,
    }
    encoded = {f"{name}.json": _encoded(name, part) for name, part in parts.items()}
    encoded["MODEL_CARD.md"] = card.encode()
    plain = _plain_tensors(tensors)
    try:
        with new_folder(folder) as unfinished:
            save_file(plain, unfinished / "weights.safetensors")
            schema.save(unfinished / SCHEMA_FILE)
            for name in ("weights.safetensors", SCHEMA_FILE):
                sync(unfinished / name)
            for name, content in encoded.items():
                write_durably(unfinished / name, content)
            write_durably(unfinished / MANIFEST, Manifest.of(unfinished).to_bytes())
    except FileExistsError:
        raise SnapshotError(f"There is already something at {folder}: a snapshot is never overwritten.") from None
    return load_snapshot(folder)


def load_snapshot(folder: Path, *, content_hash: str | None = None, snapshot_hash: str | None = None) -> Snapshot:
    """Reads a snapshot after checking every one of its files.

    Args:
        folder: the snapshot.
        content_hash: what the model must hash to, where somebody else (the registry) vouches for it.
        snapshot_hash: likewise for the whole folder.

    Raises:
        SnapshotError: it is missing, damaged (the bad files are named) or another one than expected.
    """
    with HeldWeights(folder / WEIGHTS) as weights:
        manifest, contents = verified_contents(folder, weights.sha256)
        _refuse_another(folder, manifest, content_hash, snapshot_hash)
        tensors = weights.tensors()
    parts = SnapshotParts(folder, contents)
    return Snapshot(
        folder=folder,
        tensors=tensors,
        config=parts.json("config", dict),
        vocabulary=parts.vocabulary(),
        schema=parts.schema(),
        profile=parts.json("profile", dict),
        calibration=parts.json("calibration", dict),
        metrics=parts.json("metrics", dict),
        lineage=parts.json("lineage", dict),
        content_hash=manifest.content_hash,
        snapshot_hash=manifest.snapshot_hash,
    )


def verify_snapshot(folder: Path, *, content_hash: str | None = None, snapshot_hash: str | None = None) -> Manifest:
    """`load_snapshot`'s checks without reading the parts; same arguments and errors."""
    manifest = verified(folder)
    _refuse_another(folder, manifest, content_hash, snapshot_hash)
    return manifest


def _refuse_another(folder: Path, manifest: Manifest, content_hash: str | None, snapshot_hash: str | None) -> None:
    for kind, expected, found in (
        ("content hash", content_hash, manifest.content_hash),
        ("snapshot hash", snapshot_hash, manifest.snapshot_hash),
    ):
        if expected is not None and expected != found:
            raise SnapshotError(
                f"The snapshot {folder} is another one than expected: its {MANIFEST} has the {kind} {found}, "
                f"the registry says {expected}. {REMEDY}"
            )


def _encoded(name: str, part: object) -> bytes:
    try:
        return canonical_json(part)
    except ValueError as error:
        raise SnapshotError(f"{name}.json cannot be written: {error}.") from error


def _plain_tensors(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Contiguous CPU tensors of their own memory, all finite."""
    plain: dict[str, Tensor] = {}
    taken: set[int] = set()
    for name, tensor in sorted(tensors.items()):
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise SnapshotError(f"The tensor '{name}' holds NaN or infinity: nothing was written. Train again.")
        own = tensor.detach().to("cpu").contiguous()
        if own.untyped_storage().data_ptr() in taken:
            own = own.clone()
        taken.add(own.untyped_storage().data_ptr())
        plain[name] = own
    return plain
