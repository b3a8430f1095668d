"""One training step on an embedding table, three ways: looked up, a gradient sent back, rows updated."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.distributed.optim import (  # type: ignore[attr-defined]
    _apply_optimizer_in_backward as apply_optimizer_in_backward,
)
from torchrec import EmbeddingCollection, EmbeddingConfig, KeyedJaggedTensor
from torchrec.modules.embedding_configs import DataType
from torchrec.optim.rowwise_adagrad import RowWiseAdagrad

from recsys.training.body_model import ITEM_TABLE
from recsys.training.sharding import shard

Step = Callable[[Tensor, Tensor], None]
"""Rows to look up (lookups,) and the gradient of what is found (lookups, width): the table moves."""
FUSED, SPARSE, DENSE = "fused", "sparse", "dense"
_RATE = 0.01
_FEATURE = "item_id"


class LookedUp(nn.Module):
    """A table as the body's training has it, on the meta device until it is sharded.

    Args:
        rows: of the table.
        width: of each.
    """

    def __init__(self, rows: int, width: int) -> None:
        super().__init__()
        table = EmbeddingConfig(
            name=ITEM_TABLE,
            embedding_dim=width,
            num_embeddings=rows,
            feature_names=[_FEATURE],
            data_type=DataType.FP32,
            init_fn=lambda weight: nn.init.normal_(weight, std=width**-0.5),
        )
        self.tables = EmbeddingCollection(tables=[table], device=torch.device("meta"))

    def forward(self, rows: Tensor) -> Tensor:
        """(lookups, width) vectors."""
        asked = KeyedJaggedTensor(keys=[_FEATURE], values=rows, lengths=torch.tensor([len(rows)]))
        vectors: Tensor = self.tables(asked)[_FEATURE].values()
        return vectors


def fused_step(rows: int, width: int) -> Step:
    """The body's way: torchrec's sharded table, whose fused row-wise Adagrad updates rows in the backward pass.

    A process group must have been initialised.
    """
    model = LookedUp(rows, width)
    apply_optimizer_in_backward(RowWiseAdagrad, model.tables.parameters(), {"lr": _RATE})
    sharded = shard(model, torch.device("cpu"))

    def step(asked: Tensor, gradient: Tensor) -> None:
        sharded(asked).backward(gradient)

    return step


def sparse_step(rows: int, width: int) -> Step:
    """`nn.Embedding(sparse=True)` and SparseAdam."""
    table = nn.Embedding(rows, width, sparse=True)
    return _plain(table, torch.optim.SparseAdam(table.parameters(), lr=_RATE))


def dense_step(rows: int, width: int) -> Step:
    """`nn.Embedding` and Adam, which moves every row."""
    table = nn.Embedding(rows, width)
    return _plain(table, torch.optim.Adam(table.parameters(), lr=_RATE))


def _plain(table: nn.Embedding, optimizer: torch.optim.Optimizer) -> Step:
    def step(asked: Tensor, gradient: Tensor) -> None:
        optimizer.zero_grad()
        table(asked).backward(gradient)
        optimizer.step()

    return step


MAKERS: dict[str, Callable[[int, int], Step]] = {FUSED: fused_step, SPARSE: sparse_step, DENSE: dense_step}
