"""The body with torchrec tables and its loss, as one trainable module. Knows nothing of workers or Ray."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn import functional
from torchrec import EmbeddingCollection, EmbeddingConfig, KeyedJaggedTensor
from torchrec.modules.embedding_configs import DataType

from recsys.experts.body import BodyConfig, SequenceEncoder
from recsys.training.attributes import ItemAttributes

ITEM_TABLE = "item_vectors"
ATTRIBUTE_TABLE = "attribute_vectors"
_ITEM, _ATTRIBUTE = "item_id", "attribute"
_ATTRIBUTE_SCALE = 0.3
"""Attributes' vectors start smaller than items': an item is more than what it is described as."""


class BodyTrainingConfig(BaseModel):
    """How the body is fitted."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    epochs: int = Field(default=20, ge=1)
    """Passes over all sequences."""
    batch_events: int = Field(default=1_600, ge=1)
    """Events a step, over all workers; sequences of like length share a step."""
    negatives: int = Field(default=512, ge=1)
    """Uniform negatives a step, shared by all positions of a worker. As many as there are items, or more: every item
    once, which is the exact softmax."""
    learning_rate: float = Field(default=3e-3, gt=0)
    """Peak step of AdamW on the dense parameters; one-cycle: a tenth of the steps up, then down to zero."""
    table_learning_rate: float = Field(default=0.1, gt=0)
    """Step of the fused row-wise Adagrad on the tables (Adam is not available in the fused CPU kernels)."""
    weight_decay: float = Field(default=0.01, ge=0)
    """Of the dense parameters."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of the matrix products while training; auto: bfloat16 where the processor multiplies it natively. Scoring is
    always float32."""
    checkpoint_minutes: float = Field(default=5.0, ge=0)
    """A checkpoint is written when so many minutes have passed since the last one, and after every epoch; what a
    killed worker or driver loses is never more."""
    restarts: int = Field(default=3, ge=0)
    """How often workers are started again, from the last checkpoint, when one of them was lost."""


class TrainableBody(nn.Module):
    """Item and attribute tables, encoder and softmax loss, sampled or exact.

    Args:
        config: shape of the body.
        attributes: what each item is described as; may be empty.
        device: where the tables are made; `meta` when they are to be sharded.
        asks_once: look up a step's rows once each, for tables that are far away (another worker's) or whose fused
            step is not helped by bags; else as often as they occur.
    """

    def __init__(
        self,
        config: BodyConfig,
        attributes: ItemAttributes,
        device: torch.device | None = None,
        *,
        asks_once: bool = False,
    ) -> None:
        super().__init__()
        self.attributes, self.asks_once = attributes, asks_once
        scale = config.width**-0.5
        rows = {ITEM_TABLE: (attributes.n_items + 1, _ITEM, scale)}
        if attributes.n_attributes:
            rows[ATTRIBUTE_TABLE] = (attributes.n_attributes, _ATTRIBUTE, scale * _ATTRIBUTE_SCALE)
        self.tables = EmbeddingCollection(
            tables=[
                EmbeddingConfig(
                    name=name,
                    embedding_dim=config.width,
                    num_embeddings=count,
                    feature_names=[feature],
                    data_type=DataType.FP32,
                    init_fn=lambda weight, std=std: nn.init.normal_(weight, std=std),
                )
                for name, (count, feature, std) in rows.items()
            ],
            device=device or torch.device("cpu"),
        )
        self.encoder = SequenceEncoder(config)

    def forward(
        self, sequences: Tensor, times: Tensor, negatives: Tensor | None, *, half: bool
    ) -> tuple[Tensor, Tensor]:
        """Softmax loss of every next item.

        Args:
            sequences: (batch, length + 1) int64 item index, left-aligned, 0 = padding.
            times: (batch, length + 1) int64 microseconds.
            negatives: (n_negatives,) int64 item index, shared by all positions; None: all items compete.
            half: multiply matrices in bfloat16.

        Returns:
            Sum of the losses in nats, and the number of predicted events.
        """
        batch, length = sequences.shape
        candidates = self._every_item(sequences.device) if negatives is None else negatives
        vectors = self._vectors(torch.cat([sequences.reshape(-1), candidates]))
        inputs, against = vectors[: batch * length].view(batch, length, -1), vectors[batch * length :]
        position = torch.arange(length - 1, device=sequences.device)
        source = _predicted_from(times) if self.encoder.config.baskets else position.expand(batch, -1)
        known = (sequences[:, 1:] > 0) & (source >= 0)
        targets = sequences[:, 1:][known]
        row = torch.arange(batch, device=sequences.device)[:, None].expand(-1, length - 1)[known]
        with torch.autocast(sequences.device.type, torch.bfloat16, enabled=half):
            states = self.encoder(inputs[:, :-1], times[:, :-1])[row, source[known]]
            logits = states @ against.T
        positive = (states.float() * inputs[:, 1:][known]).sum(-1, keepdim=True)
        if negatives is None:
            own = targets - 1
            everything = logits.float().scatter_(1, own[:, None], positive)
            return functional.cross_entropy(everything, own, reduction="sum"), known.sum()
        others = logits.float().masked_fill(targets[:, None] == negatives[None, :], -torch.inf)
        loss = functional.cross_entropy(
            torch.cat([positive, others], dim=1),
            torch.zeros(len(targets), dtype=torch.int64, device=targets.device),
            reduction="sum",
        )
        return loss, known.sum()

    def _every_item(self, device: torch.device) -> Tensor:
        return torch.arange(1, self.attributes.n_items + 1, device=device)

    def _vectors(self, items: Tensor) -> Tensor:
        """(n, width) vector of each item: its own and the mean of its attributes'."""
        if not self.asks_once:
            return self._looked_up(items)
        distinct, place = torch.unique(items, return_inverse=True)
        return functional.embedding(place, self._looked_up(distinct))

    def _looked_up(self, items: Tensor) -> Tensor:
        """The same, from the tables; of an item that comes more than once the fused step adds up what it learns."""
        described, owner, shares = self.attributes.of(items)
        keys, values, sizes = [_ITEM], [items], [len(items)]
        if self.attributes.n_attributes:
            keys, values, sizes = [_ITEM, _ATTRIBUTE], [items, described], [len(items), len(described)]
        lengths = torch.tensor(sizes, device=items.device)
        found = self.tables(KeyedJaggedTensor(keys=keys, values=torch.cat(values), lengths=lengths))
        vectors: Tensor = found[_ITEM].values()
        if self.attributes.n_attributes:
            vectors = vectors.index_add(0, owner, found[_ATTRIBUTE].values() * shares[:, None])
        return vectors


def _predicted_from(times: Tensor) -> Tensor:
    """(batch, length) the position before the basket of each event but the first; -1 when there is none."""
    position = torch.arange(times.shape[1], device=times.device).expand(times.shape)
    begins = torch.ones_like(times, dtype=torch.bool)
    begins[:, 1:] = times[:, 1:] != times[:, :-1]
    start = torch.where(begins, position, 0).cummax(1).values
    return start[:, 1:] - 1
