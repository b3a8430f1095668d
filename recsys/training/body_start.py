"""What a body begins from when not from nothing: an earlier one. Knows no worker and no registry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from recsys.model.scoring import BODY
from recsys.training.body_model import ATTRIBUTE_TABLE, ITEM_TABLE

_ITEMS, _KNOWN, _ENCODER = "items", "known", "encoder."


@dataclass(frozen=True, slots=True, eq=False)
class BodyStart:
    """What a body begins from.

    Attributes:
        items: (n_items + 1, width) float32 vectors of the vocabulary's items, those of their attributes added in.
        known: (n_items + 1,) bool whether there is such a vector; others begin from nothing.
        encoder: the encoder's parameters by name.
    """

    items: Tensor
    known: Tensor
    encoder: Mapping[str, Tensor]

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor], then: Sequence[str], now: Sequence[str]) -> BodyStart:
        """The body among a snapshot's tensors, for another vocabulary.

        Args:
            tensors: the snapshot's, by name.
            then: item ids of the snapshot.
            now: item ids to be trained on.
        """
        vectors = tensors[f"{BODY}.items"]
        place = {item_id: index for index, item_id in enumerate(then, start=1)}
        rows = torch.tensor([0, *(place.get(item_id, -1) for item_id in now)])
        known = rows >= 0
        prefix = f"{BODY}.encoder."
        encoder = {name.removeprefix(prefix): own for name, own in tensors.items() if name.startswith(prefix)}
        return cls(torch.where(known[:, None], vectors[rows.clamp(min=0)], 0.0), known, encoder)

    def save(self, path: Path) -> None:
        """Writes it where workers read it."""
        save_file({_ITEMS: self.items, _KNOWN: self.known} | {_ENCODER + n: t for n, t in self.encoder.items()}, path)

    @classmethod
    def load(cls, path: Path) -> BodyStart:
        """The inverse of `save`."""
        tensors = load_file(path)
        encoder = {n.removeprefix(_ENCODER): tensor for n, tensor in tensors.items() if n.startswith(_ENCODER)}
        return cls(tensors[_ITEMS], tensors[_KNOWN], encoder)


@torch.no_grad()
def begin_from(sharded: nn.Module, start: BodyStart) -> None:
    """Puts a start into a body whose tables may be spread over workers; every worker must call it.

    Items' vectors have their attributes' added in: attributes begin at zero, so that each known item is where it was.

    Args:
        sharded: what `sharding.shard` returns; nothing was trained yet.
        start: for the same vocabulary.
    """
    for name, parameter in sharded.named_parameters():
        if "tables." not in name:
            parameter.copy_(start.encoder[name.split("encoder.", 1)[1]])
    for key, table in sharded.state_dict().items():
        if key.endswith(f"{ITEM_TABLE}.weight"):
            for own, first in _shards(table):
                rows = slice(first, first + len(own))
                own.copy_(torch.where(start.known[rows, None].to(own.device), start.items[rows].to(own.device), own))
        elif key.endswith(f"{ATTRIBUTE_TABLE}.weight"):
            for own, _ in _shards(table):
                own.zero_()


def _shards(table: Any) -> list[tuple[Tensor, int]]:
    """This worker's rows of a table, each part with the number of its first row."""
    if hasattr(table, "local_shards"):
        return [(part.tensor, int(part.metadata.shard_offsets[0])) for part in table.local_shards()]
    return [(table.detach(), 0)]
