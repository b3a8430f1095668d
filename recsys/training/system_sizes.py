"""How large each closed-form expert's weights are and the system it is solved from. Knows no machine, fits nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace

from recsys.experts.counting import ENTRIES_AT_ONCE
from recsys.experts.memory import MemoryConfig
from recsys.training.config import TrainConfig
from recsys.training.experts import CONTENT, LONG_TERM

_NUMBER = 4
_SPARSE_ENTRY = 8
"""A float32 and an int32 index."""
_HISTORY_COPIES = 4
"""Of the decayed histories while they are multiplied: themselves, weighed, and both in the order the product wants."""


@dataclass(frozen=True, slots=True)
class DataSizes:
    """What of a data set memory goes by.

    Attributes:
        n_items: size of the vocabulary.
        n_attributes: distinct item attributes.
        n_events: events to train on.
        n_prefixes: histories that something follows: one an event, or one a basket.
        n_repeatable: events of items that may come again: all or none.
    """

    n_items: int
    n_attributes: int
    n_events: int
    n_prefixes: int
    n_repeatable: int = 0


@dataclass(frozen=True, slots=True)
class Part:
    """Something that takes memory.

    Attributes:
        what: in words.
        size: bytes.
        lower: what to set so that it takes less; empty where nothing helps.
    """

    what: str
    size: int
    lower: str

    def times(self, count: int) -> Part:
        """So many of it."""
        return replace(self, size=self.size * count)


@dataclass(frozen=True, slots=True)
class ExpertSize:
    """What one expert takes.

    Attributes:
        name: the expert's.
        weights: once it is fitted.
        system: beside the weights while it is fitted.
    """

    name: str
    weights: Part
    system: tuple[Part, ...]


def expert_sizes(config: TrainConfig, sizes: DataSizes) -> list[ExpertSize]:
    """Of every closed-form expert with item-item or attribute-item weights.

    Args:
        config: everything that decides.
        sizes: of the data.
    """
    n_items, n_attributes = sizes.n_items, sizes.n_attributes
    found = [
        _memory(name, own, n_items, n_attributes, sizes.n_prefixes)
        for name, own in config.memories.items()
        if own.max_items is None or n_items <= own.max_items
    ]
    own = config.long_term
    if own is not None and (own.max_items is None or n_items <= own.max_items):
        lower = _without(LONG_TERM, n_items)
        square = Part("long_term's item-item weights", _NUMBER * n_items * (n_items + 1), lower)
        rest = replace(square.times(3), what=f"long_term's system of {n_items:,} columns")
        found.append(ExpertSize(LONG_TERM, square, (rest,)))
    if config.content is not None and n_attributes:
        found.append(_content(n_items, n_attributes))
    return found


def _memory(name: str, config: MemoryConfig, n_items: int, n_attributes: int, n_prefixes: int) -> ExpertSize:
    section, histories = f"memories.{name}", config.histories(n_items)
    attributes = n_attributes if config.attribute_weight else 0
    columns = len(histories) * n_items + attributes
    rows = len(histories) * (n_items + 1)
    whole = _NUMBER * rows * n_items
    kept = whole if config.top is None else (2 * _NUMBER * min(config.top, n_items) + 8) * rows
    weights = Part(f"{name}'s item-item weights", kept, _smaller_weights(section, config, n_items))
    reach = sum(window for _, window, _ in histories)
    entries = min(n_prefixes * reach, ENTRIES_AT_ONCE)
    product = _SPARSE_ENTRY * min(columns**2, entries * reach)
    counted = _HISTORY_COPIES * _SPARSE_ENTRY * entries
    gram = _NUMBER * columns**2
    sides = _NUMBER * columns * n_items
    lower = _smaller_system(section, config, n_items, len(histories))
    solving = (Part(f"{name}'s dense system of {columns:,} columns", 2 * gram + 2 * sides, lower),)
    counting = (
        Part(f"{name}'s counts of {columns:,} columns", 2 * gram + product, lower),
        Part(f"{name}'s decayed histories", counted, f"lower {section}.windows"),
    )
    system = max(solving, counting, key=lambda parts: sum(part.size for part in parts))
    return ExpertSize(name, weights, system)


def _content(n_items: int, n_attributes: int) -> ExpertSize:
    lower = "treat fewer of the items' columns as attributes, in the workspace's schema"
    described = _NUMBER * (n_items + 1) * n_attributes
    weights = Part("content's attribute-item weights", described + _NUMBER * n_attributes * n_items, lower)
    size = 2 * _NUMBER * n_attributes**2 + 2 * _NUMBER * n_attributes * n_items + described
    return ExpertSize(CONTENT, weights, (Part(f"content's system of {n_attributes:,} columns", size, lower),))


def _smaller_weights(section: str, config: MemoryConfig, n_items: int) -> str:
    if config.top is None:
        return f"set {section}.top=200 to keep only the largest weights of a row"
    return f"lower {section}.top, or {_without(section, n_items)}"


def _smaller_system(section: str, config: MemoryConfig, n_items: int, histories: int) -> str:
    without = f"{_without(section, n_items)} ({section}.top makes the weights smaller, not the solve before them)"
    if histories == 1:
        return without
    fallback = f"set {section}.max_columns={histories * n_items - 1} to fit only {section}.fallback, one history"
    return f"{fallback}, or {without}"


def _without(section: str, n_items: int) -> str:
    return f"set {section}.max_items={n_items - 1} to do without it on a catalogue of this size"
