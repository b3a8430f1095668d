"""A space as Optuna's distributions: a choice, which may be of any kind, goes by its place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from recsys.tuning.space import Choices, Dimension, Point, SearchSpace

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


def distributions(space: SearchSpace) -> dict[str, BaseDistribution]:
    """By dotted name."""
    return {name: _distribution(dimension) for name, dimension in space.dimensions.items()}


def encoded(point: Point, space: SearchSpace) -> dict[str, object]:
    """A point as Optuna has it."""
    return {name: _place(dimension, point[name]) for name, dimension in space.dimensions.items()}


def decoded(sampled: Mapping[str, object], space: SearchSpace) -> Point:
    """What Optuna sampled as values of settings."""
    found: dict[str, object] = {}
    for name, dimension in space.dimensions.items():
        value = sampled[name]
        found[name] = dimension.choices[int(str(value))] if isinstance(dimension, Choices) else value
    return found


def _distribution(dimension: Dimension) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(dimension, Choices):
        return CategoricalDistribution(range(len(dimension.choices)))
    if dimension.whole:
        return IntDistribution(int(dimension.low), int(dimension.high), log=dimension.log)
    return FloatDistribution(float(dimension.low), float(dimension.high), log=dimension.log)


def _place(dimension: Dimension, value: object) -> object:
    if not isinstance(dimension, Choices):
        return value
    return dimension.choices.index(list(value) if isinstance(value, tuple) else value)
