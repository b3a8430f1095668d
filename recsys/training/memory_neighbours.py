"""Settings of the sequence memory that lie one step apart: what a search walks over. Fits nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from recsys.experts.memory import MemoryConfig

DECAYS = (0.0, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95, 0.98, 1.0)
WINDOWS = (1, 2, 3, 5, 8, 13, 20, 30, 40, 60, 100, 150, 200)
_FACTOR = 2.0
"""Ridges and the attributes' weight are tried at twice and half."""
_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A setting one step from another.

    Attributes:
        config: the setting.
        changed: what differs, in words.
    """

    config: MemoryConfig
    changed: str


def settled(config: MemoryConfig, n_items: int) -> MemoryConfig:
    """The same with the histories that a catalogue of this size gets written out."""
    return _with(config, config.histories(n_items))


def _with(config: MemoryConfig, histories: list[tuple[float, int, float]]) -> MemoryConfig:
    decays, windows, ridges = zip(*histories, strict=True)
    update: dict[str, object] = {"decays": decays, "windows": windows, "ridges": ridges}
    if len(histories) == 1:
        update["fallback"] = histories[0]  # however large the catalogue, it is this one
    return config.model_copy(update=update)


def neighbours(config: MemoryConfig, n_items: int, longest_window: int, *, described: bool) -> Iterator[Neighbour]:
    """Every setting one step away, those that need no counting first.

    Args:
        config: a settled setting.
        n_items: size of the vocabulary.
        longest_window: no window looks further back.
        described: whether items have attributes.
    """
    histories = config.histories(n_items)
    for at, (decay, window, ridge) in enumerate(histories):
        for value in (_rounded(ridge * _FACTOR), _rounded(ridge / _FACTOR)):
            changed = _with(config, [*histories[:at], (decay, window, value), *histories[at + 1 :]])
            yield Neighbour(changed, f"ridge {at + 1}: {ridge:g} → {value:g}")
    if described and config.attribute_weight:
        for name in ("attribute_weight", "attribute_ridge"):
            before = getattr(config, name)
            for value in (_rounded(before * _FACTOR), _rounded(before / _FACTOR)):
                yield Neighbour(config.model_copy(update={name: value}), f"{name}: {before:g} → {value:g}")
    for at, (decay, window, ridge) in enumerate(histories):
        for value in _beside(DECAYS, decay):
            changed = _with(config, [*histories[:at], (value, window, ridge), *histories[at + 1 :]])
            yield Neighbour(changed, f"decay {at + 1}: {decay:g} → {value:g}")
        for length in _beside(WINDOWS, window):
            if length <= longest_window:
                changed = _with(config, [*histories[:at], (decay, int(length), ridge), *histories[at + 1 :]])
                yield Neighbour(changed, f"window {at + 1}: {window} → {int(length)}")


def _beside(grid: tuple[float, ...] | tuple[int, ...], value: float) -> list[float]:
    """The next larger and the next smaller value of a grid."""
    larger = [own for own in grid if own > value][:1]
    smaller = [own for own in grid if own < value][-1:]
    return [*larger, *smaller]


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
