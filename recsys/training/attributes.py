"""What the catalogue says of items, as numbers: which item has which attribute. Knows no model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from scipy import sparse
from torch import Tensor

from recsys import columns
from recsys.context.sequences import ragged_ranges
from recsys.data.schema import WorkspaceSchema

MINIMUM_ITEMS = 2
"""An attribute of one item only says nothing that the item itself does not."""

_VALUE, _INDEX = "attribute", "index"
_OFFSETS, _VALUES, _NAMES = "offsets", "values", "names"


@dataclass(frozen=True)
class ItemAttributes:
    """Attributes item by item, flat.

    Attributes:
        offsets: (n_items + 2,) int64; item i (0 is padding, without any) has values[offsets[i]:offsets[i + 1]].
        values: (total,) int64 attribute index from 0.
        names: one a attribute, `column=value`.
    """

    offsets: np.ndarray
    values: np.ndarray
    names: tuple[str, ...]

    @property
    def n_items(self) -> int:
        """Items in the vocabulary."""
        return len(self.offsets) - 2

    @property
    def n_attributes(self) -> int:
        """Distinct attributes."""
        return len(self.names)

    @classmethod
    def none(cls, n_items: int) -> ItemAttributes:
        """For items of which nothing is known."""
        return cls(np.zeros(n_items + 2, np.int64), np.zeros(0, np.int64), ())

    def of(self, items: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The attributes of items.

        Args:
            items: (n,) int64 item index.

        Returns:
            (total,) int64 attributes, item after item, (total,) int64 whose each is, as a position in `items`, and
            (total,) float32 one over how many that item has; where the items are.
        """
        index = items.cpu().numpy()
        counts = self.offsets[index + 1] - self.offsets[index]
        values = self.values[ragged_ranges(self.offsets[index], counts)]
        owner = np.repeat(np.arange(len(index)), counts)
        share = np.repeat((1 / np.maximum(counts, 1)).astype(np.float32), counts)
        found, whose, shares = (torch.from_numpy(part).to(items.device) for part in (values, owner, share))
        return found, whose, shares

    def matrix(self) -> sparse.csr_matrix:
        """(n_items, n_attributes) float32, 1 where an item has an attribute."""
        ones = np.ones(len(self.values), np.float32)
        return sparse.csr_matrix((ones, self.values, self.offsets[1:]), shape=(self.n_items, self.n_attributes))

    def save(self, path: Path) -> None:
        """Writes them where workers read them."""
        tensors = {_OFFSETS: torch.tensor(self.offsets), _VALUES: torch.tensor(self.values)}
        save_file(tensors, path, {_NAMES: json.dumps(self.names)})

    @classmethod
    def load(cls, path: Path) -> ItemAttributes:
        """The inverse of `save`."""
        with safe_open(path, framework="pt") as stored:
            names = tuple(json.loads(stored.metadata()[_NAMES]))
            return cls(stored.get_tensor(_OFFSETS).numpy(), stored.get_tensor(_VALUES).numpy(), names)


def item_attributes(items: pl.DataFrame, vocabulary: Sequence[str], schema: WorkspaceSchema) -> ItemAttributes:
    """Categorical and list columns of the catalogue as attributes; an item's title is none.

    Args:
        items: the catalogue's items.
        vocabulary: item ids; item i has index i + 1.
        schema: which column means what.

    Returns:
        Attributes that at least two items of the vocabulary have.
    """
    order = pl.DataFrame(
        {columns.ITEM_ID: list(vocabulary), _INDEX: np.arange(1, len(vocabulary) + 1)},
        schema={columns.ITEM_ID: pl.String, _INDEX: pl.Int64},
    )
    named = [
        (column, kind)
        for column, kind in schema.item_columns.items()
        if kind in ("categorical", "list") and column != schema.title and column in items.columns
    ]
    parts = [_pairs(items, order, column, is_list=kind == "list") for column, kind in named]
    if not parts:
        return ItemAttributes.none(len(vocabulary))
    pairs = pl.concat(parts).unique().filter(pl.len().over(_VALUE) >= MINIMUM_ITEMS)
    names = pairs[_VALUE].unique().sort()
    codes = pl.DataFrame({_VALUE: names, "code": np.arange(len(names))}, schema={_VALUE: pl.String, "code": pl.Int64})
    coded = pairs.join(codes, on=_VALUE).sort(_INDEX, "code")
    counts = np.bincount(coded[_INDEX].to_numpy(), minlength=len(vocabulary) + 1)
    return ItemAttributes(np.concatenate([[0], np.cumsum(counts)]), coded["code"].to_numpy(), tuple(names.to_list()))


def _pairs(items: pl.DataFrame, order: pl.DataFrame, column: str, *, is_list: bool) -> pl.DataFrame:
    """Index and attribute, one row a pair."""
    named = items.select(columns.ITEM_ID, pl.col(column).alias(_VALUE))  # a catalogue may call its columns anything
    frame = order.join(named, on=columns.ITEM_ID).select(_INDEX, _VALUE)
    if is_list:
        frame = frame.explode(_VALUE)
    present = frame.with_columns(pl.col(_VALUE).cast(pl.String)).drop_nulls(_VALUE)
    return present.with_columns((pl.lit(f"{column}=") + pl.col(_VALUE)).alias(_VALUE))
