"""The whole training configuration: typed, unknown keys are errors, one TOML a named configuration."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from recsys.context.encoder import HISTORY_LENGTH
from recsys.errors import ConfigError
from recsys.experts.body import BodyConfig
from recsys.experts.content import ContentConfig
from recsys.experts.habit import HabitConfig
from recsys.experts.long_term import LongTermConfig
from recsys.experts.memory import MemoryConfig
from recsys.experts.popularity import PopularityConfig
from recsys.experts.repeat import RepeatConfig
from recsys.model.head import HeadConfig
from recsys.ranking.retrieval import RetrievalConfig
from recsys.training.body_model import BodyTrainingConfig
from recsys.training.generator import GeneratorConfig

DEFAULT_NAME = "default"
RESERVED = frozenset(
    {
        "body",
        "long_term",
        "content",
        "repeat",
        "habit",
        "novelty",
        "trend",
        "popularity",
        "hypernetwork",
        "shared",
        "index",
    }
)
"""Names that the other experts and a snapshot's tensors have."""


class TrainConfig(BaseModel):
    """Everything that decides what a training run makes of given data."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int = Field(default=17, ge=0, lt=2**32)
    """Of every random choice; torch and numpy both take it."""
    workers: int = Field(default=2, ge=1)
    """Ray Train workers of the body."""
    count_shards: int | None = Field(default=None, ge=1)
    """Ray tasks that count for the memories, each over other users' events; None: one a CPU of a cluster that is joined
    ($RAY_ADDRESS), and no tasks on one machine, where that is faster."""
    history_length: int = Field(default=HISTORY_LENGTH, ge=2, le=HISTORY_LENGTH)
    """Events in a context's history tensor; feature rows hold no more."""
    body: BodyConfig = BodyConfig()
    body_training: BodyTrainingConfig = BodyTrainingConfig()
    memories: dict[str, MemoryConfig] = {"memory": MemoryConfig()}
    """Sequence memories by name: several with different decays let a head choose the user's horizon."""
    long_term: LongTermConfig | None = LongTermConfig()
    """None: no such expert."""
    content: ContentConfig | None = ContentConfig()
    """Of item attributes, where the catalogue has some."""
    repeat: RepeatConfig | None = None
    """Personal frequency by one half-life, where items repeat; `habit` tells the same better, and two that tell the
    same are harder to weigh than one (docs/experiments.md)."""
    habit: HabitConfig | None = HabitConfig()
    """Where items repeat."""
    trend: PopularityConfig | None = None
    """A second popularity with a half-life, where events have real times."""
    popularity: PopularityConfig = PopularityConfig()
    discovery: tuple[str, ...] = ()
    """Experts, by name, that speak only of items new to the user, where items repeat: what somebody comes back to is
    better told by `habit` and `repeat`."""
    head: HeadConfig = HeadConfig()
    generator: GeneratorConfig = GeneratorConfig()
    retrieval: RetrievalConfig = RetrievalConfig()
    """How a large catalogue is searched once the model serves; nothing is trained by it."""

    @model_validator(mode="after")
    def _names_are_free(self) -> Self:
        taken = [name for name in self.memories if name in RESERVED or not name.isidentifier()]
        if taken:
            raise ValueError(f"a memory cannot be called {', '.join(taken)}: choose other names of letters and digits")
        return self

    @model_validator(mode="after")
    def _discovery_names_experts(self) -> Self:
        known = ({"body"} | RESERVED | set(self.memories)) - {"hypernetwork", "shared", "index", "novelty"}
        unknown = [name for name in self.discovery if name not in known]
        if unknown:
            raise ValueError(
                f"discovery names {', '.join(unknown)}, which is no expert; there is {', '.join(sorted(known))}"
            )
        return self

    @model_validator(mode="after")
    def _nothing_looks_further_back(self) -> Self:
        looks_back = {"body.length": self.body.length}
        looks_back |= {f"memories.{name}.windows": max(own.windows) for name, own in self.memories.items()}
        further = [f"{name} is {events}" for name, events in looks_back.items() if events > self.history_length]
        if further:
            raise ValueError(f"{', '.join(further)} and history_length only {self.history_length}")
        return self


def named_configurations() -> list[str]:
    """The configurations that ship with the library, by name."""
    folder = resources.files("recsys") / "configs"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def load_config(name: str = DEFAULT_NAME, overrides: Sequence[str] = ()) -> TrainConfig:
    """A named configuration, or a TOML file of yours, with overrides.

    Args:
        name: one of `named_configurations()`, or the path of a .toml file.
        overrides: `section.key=value`, the value as TOML (a bare word is a string).

    Raises:
        ConfigError: no such configuration, not TOML, an unknown key or a value of the wrong kind; all are listed.
    """
    raw = _read(name)
    for override in overrides:
        _apply(raw, override)
    return checked_config(raw, f"'{name}'")


def checked_config(raw: dict[str, Any], what: str) -> TrainConfig:
    """A configuration out of nested values.

    Args:
        raw: as TOML gives it.
        what: which configuration, for the message.

    Raises:
        ConfigError: an unknown key or a value of the wrong kind; all are listed.
    """
    try:
        return TrainConfig.model_validate(raw)
    except ValidationError as error:
        problems = "; ".join(_problem(dict(entry)) for entry in error.errors())
        raise ConfigError(f"The configuration {what} cannot be used: {problems}.") from error


def _read(name: str) -> dict[str, Any]:
    path = Path(name)
    if name in named_configurations():
        text = (resources.files("recsys") / "configs" / f"{name}.toml").read_text(encoding="utf-8")
    elif path.suffix == ".toml" and path.is_file():
        text = _text(path)
    else:
        known = ", ".join(named_configurations())
        raise ConfigError(f"There is no configuration '{name}': name one of {known}, or the path of a .toml file.")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"The configuration '{name}' is not TOML: {error}.") from error


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The configuration '{path}' cannot be read as text: {error}.") from error


def _apply(raw: dict[str, Any], override: str) -> None:
    key, separator, text = override.partition("=")
    if not separator or not all(key.strip().split(".")):
        raise ConfigError(f"--set takes section.key=value, for example body.width=128; got '{override}'.")
    *sections, last = key.strip().split(".")
    target = raw
    for section in sections:
        target = target.setdefault(section, {})
        if not isinstance(target, dict):
            raise ConfigError(f"--set {override}: '{section}' is a value, not a section.")
    target[last] = _value(text.strip())


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _problem(entry: dict[str, Any]) -> str:
    where = ".".join(str(part) for part in entry["loc"]) or "the file"
    if entry["type"] == "extra_forbidden":
        return f"'{where}' is not a setting"
    if entry["type"] == "value_error":
        return f"{where}: {entry['ctx']['error']}"
    return f"{where} = {entry['input']!r}: {entry['msg']}"
