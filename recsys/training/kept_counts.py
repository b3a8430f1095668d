"""Keeps the counts behind closed-form memories on the disk, with what they were counted from. Counts nothing."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from recsys.context.sequences import Sequences
from recsys.durable import TEMPORARY_PREFIX, replace_file, sync
from recsys.experts.refresh import LongTermCounts, MemoryCounts

Counts = MemoryCounts | LongTermCounts
_STATE = "counted.json"


@dataclass(frozen=True, slots=True)
class Counted:
    """What counts were made from.

    Attributes:
        position: the log's, up to which events were counted.
        digest: `digest` of these sequences.
    """

    position: int
    digest: str


def digest(sequences: Sequences, vocabulary: Sequence[str]) -> str:
    """SHA-256 over all that counts depend on."""
    found = hashlib.sha256(f"baskets {sequences.baskets}\0".encode())
    for array in (sequences.offsets, sequences.items, sequences.values, sequences.known_before):
        found.update(np.ascontiguousarray(array).tobytes())
    for text in (*sequences.user_ids, *vocabulary):
        found.update(text.encode() + b"\0")
    return found.hexdigest()


@dataclass(frozen=True, slots=True)
class KeptCounts:
    """Counts in a folder, one file an expert, all of the same events. They name no user and can be made again.

    Attributes:
        folder: where they lie.
    """

    folder: Path

    def state(self) -> Counted | None:
        """What they were made from; None when there are none, or a run that wrote them was cut short."""
        try:
            stored = json.loads((self.folder / _STATE).read_bytes())
            return Counted(int(stored["position"]), str(stored["digest"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def read(self, name: str) -> Counts | None:
        """An expert's counts; None when there are none."""
        try:
            with safe_open(self.folder / f"{name}.safetensors", framework="pt") as file:
                told = json.loads((file.metadata() or {})["histories"])
                gram = file.get_tensor("gram")
                if told is None:
                    return LongTermCounts(gram)
                histories = tuple((float(decay), int(window)) for decay, window in told)
                return MemoryCounts(gram, file.get_tensor("cross"), histories)
        except (OSError, SafetensorError, ValueError, KeyError, TypeError):
            return None

    def begin(self) -> None:
        """Before any is written: until `finish` there are none."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / _STATE).unlink(missing_ok=True)
        for leftover in self.folder.glob(f"{TEMPORARY_PREFIX}*"):
            leftover.unlink(missing_ok=True)
        sync(self.folder)

    def write(self, name: str, counts: Counts) -> None:
        """Writes an expert's."""
        tensors = {"gram": counts.gram.contiguous()}
        histories = None
        if isinstance(counts, MemoryCounts):
            tensors["cross"], histories = counts.cross.contiguous(), counts.histories
        self.folder.mkdir(parents=True, exist_ok=True)  # a deletion may have removed it
        unfinished = self.folder / f"{TEMPORARY_PREFIX}{uuid.uuid4().hex[:12]}"
        save_file(tensors, unfinished, metadata={"histories": json.dumps(histories)})
        sync(unfinished)
        os.replace(unfinished, self.folder / f"{name}.safetensors")

    def finish(self, counted: Counted, names: Mapping[str, object]) -> None:
        """After the last: from now on they are there, and no others."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for path in self.folder.glob("*.safetensors"):
            if path.stem not in names:
                path.unlink()
        state = {"position": counted.position, "digest": counted.digest}
        replace_file(self.folder / _STATE, json.dumps(state, sort_keys=True).encode() + b"\n")

    def forget(self) -> None:
        """Removes all of them."""
        shutil.rmtree(self.folder, ignore_errors=True)
