"""This worker's rows of the body's tables and of the sums behind their optimiser, out to files and back from any.

A worker's rows are in its own file; another number of workers reads the rows that it needs, and no others.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn

from recsys.training.body_model import ATTRIBUTE_TABLE, ITEM_TABLE

FIRST_ROWS = "first_rows"
"""Metadata of a file: the number of the first row in each of its tensors."""
_TABLES = (ITEM_TABLE, ATTRIBUTE_TABLE)


@dataclass(frozen=True, slots=True)
class TableRows:
    """Rows that one worker holds.

    Attributes:
        name: of what: a table, or the sums behind it.
        first: number of the first row.
        rows: (rows, width) or (rows,) the trained tensor itself, no copy.
    """

    name: str
    first: int
    rows: Tensor


def own_rows(sharded: nn.Module) -> list[TableRows]:
    """What this worker holds of tables and of row-wise Adagrad's sums.

    Args:
        sharded: what `sharding.shard` returns.
    """
    found = []
    for key, table in sharded.state_dict().items():
        found += [_rows(name, part) for name in _TABLES if key.endswith(f"{name}.weight") for part in _parts(table)]
    for moments in sharded.fused_optimizer.state_dict()["state"].values():  # type: ignore[union-attr]
        for key, moment in moments.items():
            found += [_rows(f"{key}.sums", part) for part in _parts(moment)]
    return found


def as_tensors(parts: Sequence[TableRows]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The rows as named tensors, and the metadata that `take_rows` reads beside them."""
    tensors = {f"{number}.{part.name}": part.rows for number, part in enumerate(parts)}
    first = {f"{number}.{part.name}": part.first for number, part in enumerate(parts)}
    return tensors, {FIRST_ROWS: json.dumps(first)}


@torch.no_grad()
def take_rows(parts: Sequence[TableRows], files: Sequence[Path]) -> None:
    """Fills a worker's rows from the files of all workers that were there then.

    Raises:
        ValueError: some row is in none of them.
    """
    filled = [0] * len(parts)
    for path in files:
        with safe_open(path, framework="pt") as stored:
            for key, first in json.loads(stored.metadata()[FIRST_ROWS]).items():
                rows = stored.get_slice(key)
                for number, part in enumerate(parts):
                    if key.split(".", 1)[1] == part.name:
                        filled[number] += _copied(part, rows, first)
    if any(count != len(part.rows) for count, part in zip(filled, parts, strict=True)):
        raise ValueError("rows of tables are missing")


def _copied(part: TableRows, rows: Any, first: int) -> int:
    """Copies what a stored slice shares with the part's rows; how many rows that is."""
    begin: int = max(part.first, first)
    end: int = min(part.first + len(part.rows), first + rows.get_shape()[0])
    if end <= begin:
        return 0
    part.rows[begin - part.first : end - part.first] = rows[begin - first : end - first].to(part.rows.device)
    return end - begin


def _rows(name: str, part: tuple[Tensor, int]) -> TableRows:
    return TableRows(name, part[1], part[0])


def _parts(table: Any) -> Iterator[tuple[Tensor, int]]:
    """This worker's parts of a sharded tensor, each with the number of its first row."""
    if not hasattr(table, "local_shards"):
        yield table.detach(), 0
        return
    for part in table.local_shards():
        yield part.tensor.detach(), int(part.metadata.shard_offsets[0])
