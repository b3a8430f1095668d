"""Which settings a search may change, and to what. It knows configurations, not how points of it are chosen."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from recsys.errors import ConfigError
from recsys.training.config import TrainConfig, checked_config

Point = Mapping[str, object]
"""Values by dotted names, such as {"body.width": 64}."""


class Range(BaseModel):
    """Any number between two, both included."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    low: int | float
    high: int | float
    log: bool = False
    """Whether factors are equally likely, instead of differences."""

    @model_validator(mode="after")
    def _goes_up(self) -> Self:
        if self.low >= self.high or (self.log and self.low <= 0):
            raise ValueError(f"low must be below high{', and above 0 with log' if self.log else ''}")
        return self

    @property
    def whole(self) -> bool:
        """Whether only whole numbers count."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def samples(self) -> tuple[object, ...]:
        """Values that must be possible."""
        return (self.low, self.high)

    def holds(self, value: object) -> bool:
        """Whether a value is in it."""
        kinds = int if self.whole else int | float
        return isinstance(value, kinds) and not isinstance(value, bool) and self.low <= value <= self.high


class Choices(BaseModel):
    """One of some values, of any kind that a setting can have."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    choices: list[Any] = Field(min_length=1)

    @property
    def samples(self) -> tuple[object, ...]:
        """Values that must be possible."""
        return tuple(self.choices)

    def holds(self, value: object) -> bool:
        """Whether a value is one of them."""
        return (list(value) if isinstance(value, tuple) else value) in self.choices


Dimension = Range | Choices


@dataclass(frozen=True, slots=True)
class SearchSpace:
    """A search's settings.

    Attributes:
        dimensions: by dotted name.
    """

    dimensions: Mapping[str, Dimension]

    @classmethod
    def load(cls, file: Path | None, base: TrainConfig) -> Self:
        """A space of a TOML file, or the one that comes with the library (recsys/tuning/default_space.toml).

        Args:
            file: sections and names as in a configuration file; each setting `{ choices = [...] }` or
                `{ low = …, high = …, log = true }`. None: the library's.
            base: the configuration that is searched from; every value must be possible in it by itself.

        Raises:
            ConfigError: it cannot be read, or names a setting or value that there is not; all are listed.
        """
        shipped = resources.files("recsys.tuning") / "default_space.toml"
        try:
            text = shipped.read_text(encoding="utf-8") if file is None else file.read_text(encoding="utf-8")
            raw = tomllib.loads(text)
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise ConfigError(f"The search space {file} cannot be read: {error}.") from error
        where = f"The search space {file or 'of the library'}"
        try:
            space = cls({name: _dimension(name, value) for name, value in _flat(raw, where)})
        except ValueError as error:
            raise ConfigError(f"{where} cannot be used: {error}.") from error
        if not space.dimensions:
            raise ConfigError(f"{where} names no setting.")
        problems = [problem for name in space.dimensions for problem in space._problems(name, base)]
        if problems:
            raise ConfigError(f"{where} cannot be used: {'; '.join(problems)}.")
        return space

    def applied(self, base: TrainConfig, point: Point) -> TrainConfig:
        """The configuration at a point.

        Raises:
            ConfigError: these values do not go together.
        """
        return checked_config(_at(base, point), "of this trial")

    def point_of(self, config: TrainConfig) -> Point | None:
        """Where a configuration lies in the space; None where it does not."""
        found = {name: _value(config.model_dump(), name) for name in self.dimensions}
        return found if all(self.dimensions[name].holds(value) for name, value in found.items()) else None

    def largest(self, name: str, otherwise: int) -> int:
        """The largest whole number that a setting can get."""
        dimension = self.dimensions.get(name)
        return otherwise if dimension is None else max(int(str(value)) for value in dimension.samples)

    def _problems(self, name: str, base: TrainConfig) -> Iterator[str]:
        """What is wrong with a dimension by itself; whether values go together is seen when they do."""
        for value in self.dimensions[name].samples:
            try:
                TrainConfig.model_validate(_at(base, {name: value}))
            except ValidationError as error:
                wrong = [entry for entry in error.errors() if entry["type"] != "value_error"]
                if any(entry["type"] == "extra_forbidden" for entry in wrong):
                    yield f"'{name}' is not a setting"
                    return
                if wrong:
                    yield f"{name} = {value!r}: {wrong[0]['msg']}"


def _flat(raw: Mapping[str, Any], where: str, prefix: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    for key, value in raw.items():
        name = f"{prefix}{key}"
        if not isinstance(value, dict):
            raise ConfigError(f"{where} gives {name} a value: write {{ choices = [...] }} or {{ low = …, high = … }}.")
        if {"choices", "low", "high", "log"} & value.keys():
            yield name, value
        else:
            yield from _flat(value, where, f"{name}.")


def _dimension(name: str, value: Mapping[str, Any]) -> Dimension:
    kind: type[Dimension] = Choices if "choices" in value else Range
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        about = ".".join(str(part) for part in (name, *first["loc"]))
        raise ValueError(f"{about}: {first['msg'].removeprefix('Value error, ')}") from error


def _at(base: TrainConfig, point: Point) -> dict[str, Any]:
    raw = base.model_dump()
    for name, value in point.items():
        *sections, last = name.split(".")
        target = raw
        for section in sections:
            inner = target.get(section)
            target[section] = inner if isinstance(inner, dict) else {}
            target = target[section]
        target[last] = value
    return raw


def _value(dumped: Mapping[str, Any], name: str) -> object:
    value: Any = dumped
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value
