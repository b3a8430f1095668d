"""The body with torchrec tables and its loss, as one trainable module. Knows nothing of workers or Ray."""

from __future__ import annotations

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn import functional
from torchrec import EmbeddingCollection, EmbeddingConfig, KeyedJaggedTensor
from torchrec.modules.embedding_configs import DataType

from recsys.experts.body import BodyConfig, SequenceEncoder

ITEM_TABLE = "item_vectors"
ITEM_FEATURE = "item_id"


class BodyTrainingConfig(BaseModel):
    """How the body is fitted."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    epochs: int = Field(default=20, ge=1)
    """Passes over all sequences."""
    batch_size: int = Field(default=32, ge=1)
    """Sequences a step, over all workers."""
    negatives: int = Field(default=512, ge=1)
    """Uniform negatives a step, shared by all positions of a worker."""
    learning_rate: float = Field(default=1e-3, gt=0)
    """Peak step of AdamW on the dense parameters; one-cycle: a tenth of the steps up, then down to zero."""
    table_learning_rate: float = Field(default=0.1, gt=0)
    """Step of the fused row-wise Adagrad on the tables (Adam is not available in the fused CPU kernels)."""
    weight_decay: float = Field(default=0.01, ge=0)
    """Of the dense parameters."""


class TrainableBody(nn.Module):
    """Item tables, encoder and sampled-softmax loss.

    Args:
        config: shape of the body.
        n_items: size of the vocabulary; the table has one row more, for padding.
        device: where the tables are made; `meta` when they are to be sharded.
    """

    def __init__(self, config: BodyConfig, n_items: int, device: torch.device | None = None) -> None:
        super().__init__()
        scale = config.width**-0.5
        self.tables = EmbeddingCollection(
            tables=[
                EmbeddingConfig(
                    name=ITEM_TABLE,
                    embedding_dim=config.width,
                    num_embeddings=n_items + 1,
                    feature_names=[ITEM_FEATURE],
                    data_type=DataType.FP32,
                    init_fn=lambda weight: nn.init.normal_(weight, std=scale),
                )
            ],
            device=device or torch.device("cpu"),
        )
        self.encoder = SequenceEncoder(config)

    def forward(self, sequences: Tensor, negatives: Tensor) -> tuple[Tensor, Tensor]:
        """Sampled-softmax loss of every next item.

        Args:
            sequences: (batch, length + 1) int64 item index, left-aligned, 0 = padding.
            negatives: (n_negatives,) int64 item index, shared by all positions.

        Returns:
            Sum of the losses in nats, and the number of predicted events.
        """
        batch, length = sequences.shape
        values = torch.cat([sequences.reshape(-1), negatives])
        looked_up = self.tables(
            KeyedJaggedTensor(keys=[ITEM_FEATURE], values=values, lengths=torch.tensor([len(values)]))
        )[ITEM_FEATURE].values()
        vectors = looked_up[: batch * length].view(batch, length, -1)
        against = looked_up[batch * length :]
        known = sequences[:, 1:] > 0
        states = self.encoder(vectors[:, :-1])[known]
        targets = sequences[:, 1:][known]
        positive = (states * vectors[:, 1:][known]).sum(-1, keepdim=True)
        logits = (states @ against.T).masked_fill(targets[:, None] == negatives[None, :], -torch.inf)
        loss = functional.cross_entropy(
            torch.cat([positive, logits], dim=1), torch.zeros(len(states), dtype=torch.int64), reduction="sum"
        )
        return loss, known.sum()
