"""What a fit of the body gives: plain tensors, gathered from the workers. Knows not how they came about."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from recsys.training.attributes import ItemAttributes
from recsys.training.body_model import ATTRIBUTE_TABLE, ITEM_TABLE
from recsys.training.sharding import gathered_vectors


@dataclass(frozen=True, slots=True)
class FittedBody:
    """What training gives, in plain tensors.

    Attributes:
        items: (n_items + 1, width) item vectors with their attributes' added in; row 0 (padding) is zero.
        encoder: the encoder's parameters by name.
    """

    items: Tensor
    encoder: dict[str, Tensor]

    def tensors(self) -> dict[str, Tensor]:
        """Both under the names that `BodyExpert.rebuild` takes."""
        return {"items": self.items, **{f"encoder.{name}": tensor for name, tensor in self.encoder.items()}}


def gathered_body(sharded: nn.Module, attributes: ItemAttributes, rank: int) -> FittedBody | None:
    """The body as it is, on worker 0 and its CPU; None on the others. Every worker must call it.

    Args:
        sharded: what `sharding.shard` returns.
        attributes: of every item.
        rank: this worker's.
    """
    tables = gathered_vectors(sharded, rank)
    if tables is None:
        return None
    items = tables[ITEM_TABLE]
    if attributes.n_attributes:
        described, owner, shares = attributes.of(torch.arange(attributes.n_items + 1))
        items = items.index_add(0, owner, tables[ATTRIBUTE_TABLE][described] * shares[:, None])
    items[0] = 0
    encoder = {
        name.split("encoder.", 1)[1]: parameter.detach().cpu().clone()
        for name, parameter in sharded.state_dict().items()
        if "encoder." in name
    }
    return FittedBody(items, encoder)
