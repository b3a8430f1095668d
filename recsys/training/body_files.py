"""The folder of one fit of the body: what the driver hands to the workers and what comes back. Knows no Ray."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from safetensors.torch import load_file, save_file
from torch import Tensor

from recsys.durable import TEMPORARY_PREFIX, replace_file, sync
from recsys.training.attributes import ItemAttributes
from recsys.training.body_start import BodyStart
from recsys.training.checkpoint_folder import CheckpointFolder
from recsys.training.epoch_losses import EpochLosses
from recsys.training.histories import SHARDS_FOLDER
from recsys.training.windows import Windows, read_shard, write_shards

_RESULT, _REFUSAL, _SETTINGS = "body.safetensors", "refusal.json", "settings.json"
_ATTRIBUTES, _START = "attributes.safetensors", "start.safetensors"


@dataclass(frozen=True, slots=True)
class BodyFiles:
    """Files of one fit; every worker has to see the folder under this path.

    Attributes:
        folder: where they lie.
    """

    folder: Path

    @property
    def shards(self) -> Path:
        """Users' histories, one file a worker."""
        return self.folder / SHARDS_FOLDER

    @property
    def checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    @property
    def of_ray(self) -> Path:
        """What Ray Train keeps for itself."""
        return self.folder / "ray"

    @property
    def losses(self) -> EpochLosses:
        """What worker 0 tells."""
        return EpochLosses(self.folder / "losses.json")

    def hand_out(
        self,
        windows: pl.DataFrame,
        workers: int,
        attributes: ItemAttributes,
        start: BodyStart | None,
        settings: dict[str, Any],
    ) -> None:
        """Writes what workers need, in the place of what earlier ones were handed; checkpoints stay."""
        for leftover in (self.shards, self.of_ray):
            shutil.rmtree(leftover, ignore_errors=True)
        (self.folder / _REFUSAL).unlink(missing_ok=True)
        write_shards(windows, self.shards, workers)
        attributes.save(self.folder / _ATTRIBUTES)
        if start is not None:
            start.save(self.folder / _START)
        total_events = int(windows["items"].list.len().sum())
        told = settings | {"total_events": total_events, "begins": start is not None}
        replace_file(self.folder / _SETTINGS, json.dumps(told).encode())

    def settings(self) -> dict[str, Any]:
        """What every worker is told; `total_events` and `begins` with what was handed out."""
        settings: dict[str, Any] = json.loads((self.folder / _SETTINGS).read_bytes())
        return settings

    def windows(self, rank: int, length: int) -> Windows:
        """One worker's share."""
        return read_shard(sorted(self.shards.glob("*.parquet"))[rank], length)

    def attributes(self) -> ItemAttributes:
        """Of every item."""
        return ItemAttributes.load(self.folder / _ATTRIBUTES)

    def start(self) -> BodyStart:
        """What the body begins from."""
        return BodyStart.load(self.folder / _START)

    def refuse(self, why: str) -> None:
        """Leaves word that trying again is of no use."""
        replace_file(self.folder / _REFUSAL, json.dumps(why).encode())

    def refusal(self) -> str | None:
        """Why trying again is of no use; None when nobody said so."""
        path = self.folder / _REFUSAL
        return str(json.loads(path.read_bytes())) if path.exists() else None

    def give(self, tensors: dict[str, Tensor]) -> None:
        """Worker 0 gives the fitted body."""
        unfinished = self.folder / f"{TEMPORARY_PREFIX}{_RESULT}"
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, unfinished)
        sync(unfinished)
        os.replace(unfinished, self.folder / _RESULT)
        sync(self.folder)

    def given(self) -> dict[str, Tensor] | None:
        """The fitted body; None while there is none."""
        path = self.folder / _RESULT
        return load_file(path) if path.exists() else None

    def are_worth_keeping(self) -> bool:
        """Whether another fit would get further with them than without."""
        return (self.folder / _RESULT).exists() or CheckpointFolder(self.checkpoints).newest() is not None

    def keep_only_the_body(self) -> None:
        """Removes all that was needed to fit it."""
        for folder in (self.shards, self.checkpoints, self.of_ray):
            shutil.rmtree(folder, ignore_errors=True)
        for name in (_ATTRIBUTES, _START, _SETTINGS):
            (self.folder / name).unlink(missing_ok=True)
