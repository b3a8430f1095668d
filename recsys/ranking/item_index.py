"""An index over item vectors: a few bits a dimension, all of them looked at, the most promising items found.

Two plain tensors hold it, so that a snapshot keeps it among its weights. faiss is loaded only where there is one.
Source: Jégou et al., Product quantization for nearest neighbor search (TPAMI 2011); André et al., Quicker ADC (TPAMI
2019), for looking at 16 codes in one instruction.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from recsys.errors import ConfigError, SnapshotError

_BITS = 4
_LEVELS = 2**_BITS
_PAIR = 2
"""Dimensions that share a code of 4 bits."""
_SAMPLE = 65_536
"""Items that the codebooks are fitted on."""


class ItemIndex:
    """Finds the items whose vectors have the largest inner products with a query, nearly.

    Args:
        codebooks: (width / 2, 16, 2) float32 what each code of each pair of dimensions stands for.
        codes: (n_items, ceil(width / 4)) uint8, two pairs of dimensions a byte.
    """

    def __init__(self, codebooks: Tensor, codes: Tensor) -> None:
        faiss = _faiss()
        plain = _empty(faiss, len(codebooks) * _PAIR)
        faiss.copy_array_to_vector(codebooks.numpy().ravel(), plain.pq.centroids)
        faiss.copy_array_to_vector(codes.numpy().ravel(), plain.codes)
        plain.ntotal, plain.is_trained = len(codes), True
        self._index = faiss.IndexPQFastScan(plain)
        self.codebooks = codebooks
        self.codes = codes

    @classmethod
    def build(cls, vectors: Tensor) -> Self:
        """The index of these vectors; equal vectors give equal indexes.

        Args:
            vectors: (n_items, width) float32, width even. Neighbouring dimensions share codes: whoever has one that
                weighs much puts a zero beside it.
        """
        plain = _empty(_faiss(), vectors.shape[1])
        step = max(len(vectors) // _SAMPLE, 1)
        plain.train(vectors[::step][:_SAMPLE].contiguous().numpy())
        for block in torch.split(vectors, _SAMPLE):
            plain.add(block.contiguous().numpy())
        return cls(*_tensors(plain))

    @classmethod
    def rebuild(cls, tensors: Mapping[str, Tensor], n_items: int, width: int) -> Self:
        """The inverse of `tensors`.

        Args:
            tensors: as `tensors` gave them.
            n_items: how many items it has to index.
            width: how many dimensions their vectors have.

        Raises:
            SnapshotError: they are of another catalogue, or no index.
        """
        expected = {
            "codebooks": ((width // _PAIR, _LEVELS, _PAIR), torch.float32),
            "codes": ((n_items, -(-width // _PAIR * _BITS // 8)), torch.uint8),
        }
        for name, (shape, kind) in expected.items():
            found = tensors.get(name)
            if found is None or tuple(found.shape) != shape or found.dtype != kind:
                told = "nothing" if found is None else f"{found.dtype} {tuple(found.shape)}"
                raise SnapshotError(
                    f"The snapshot's tensor 'index.{name}' does not index its items: it holds {told} instead of "
                    f"{kind} {shape}. Train again."
                )
        return cls(tensors["codebooks"], tensors["codes"])

    def tensors(self) -> Mapping[str, Tensor]:
        """Codebooks and codes."""
        return {"codebooks": self.codebooks, "codes": self.codes}

    def search(self, query: Tensor, number: int) -> Tensor:
        """(number,) int64 columns of the most promising items, the best first.

        Args:
            query: (width,) float32.
            number: how many, at most as many as there are.
        """
        _, columns = self._index.search(query[None].numpy(), number)
        found = torch.from_numpy(columns[0])
        return found[found >= 0]


def _empty(faiss: ModuleType, width: int) -> Any:
    return faiss.IndexPQ(width, width // _PAIR, _BITS, faiss.METRIC_INNER_PRODUCT)


def _tensors(plain: Any) -> tuple[Tensor, Tensor]:
    faiss = _faiss()
    codebooks = faiss.vector_to_array(plain.pq.centroids).reshape(-1, _LEVELS, _PAIR)
    codes = faiss.vector_to_array(plain.codes).reshape(plain.ntotal, -1)
    return torch.from_numpy(np.array(codebooks)), torch.from_numpy(np.array(codes))


def _faiss() -> ModuleType:
    try:
        import faiss
    except ImportError as error:
        raise ConfigError(
            "This catalogue is searched through an index, which needs faiss: pip install 'recsys[large]'. Without it, "
            "set RECSYS_EXACT_ITEMS above the number of items: every item is scored then."
        ) from error
    return faiss
