"""Which experts a configuration names, and which of them given data can have. Fits nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from pydantic import BaseModel

from recsys.experts.body import BodyExpert
from recsys.experts.content import ContentExpert
from recsys.experts.habit import HabitExpert
from recsys.experts.long_term import LongTermMemory
from recsys.experts.memory import SequenceMemory
from recsys.experts.novelty import NoveltyExpert
from recsys.experts.popularity import PopularityExpert
from recsys.experts.repeat import RepeatExpert
from recsys.model.scoring import BODY, NOVELTY, POPULARITY
from recsys.training.config import TrainConfig
from recsys.training.experts import CONTENT, HABIT, LONG_TERM, REPEAT, TREND

_UNSET = "the configuration has none"
_SET_BY_TRAINING = {"clock", "baskets", "age"}
"""What the data decide and no configuration."""


@dataclass(frozen=True, slots=True)
class RosterEntry:
    """An expert that a configuration could have.

    Attributes:
        name: its name there.
        kind: which kind of expert it is.
        settings: its configuration as plain values; empty where there is none.
        missing: why these data do without it; None when they have it.
    """

    name: str
    kind: str
    settings: Mapping[str, object]
    missing: str | None

    def as_dict(self) -> dict[str, object]:
        """Plain values, for --json."""
        return asdict(self)


def roster(config: TrainConfig, *, n_items: int, n_attributes: int, clock: bool, repeats: bool) -> list[RosterEntry]:
    """Every expert, in the scoring network's order.

    Args:
        config: everything that decides.
        n_items: size of the vocabulary.
        n_attributes: distinct item attributes.
        clock: whether event times are real.
        repeats: whether items repeat.
    """
    lacks_attributes = None if n_attributes else "no item of this catalogue has an attribute that another shares"
    lacks_repeats = None if repeats else "items do not repeat in this workspace"
    lacks_clock = None if clock else "events have an order here and no real times"
    most = config.long_term.max_items if config.long_term is not None else None
    return [
        _entry(BODY, BodyExpert.kind, config.body, None),
        *(
            _entry(name, SequenceMemory.kind, own, _too_many(n_items, own.max_items))
            for name, own in config.memories.items()
        ),
        _entry(LONG_TERM, LongTermMemory.kind, config.long_term, _too_many(n_items, most)),
        _entry(CONTENT, ContentExpert.kind, config.content, lacks_attributes),
        _entry(REPEAT, RepeatExpert.kind, config.repeat, lacks_repeats),
        _entry(HABIT, HabitExpert.kind, config.habit, lacks_repeats),
        RosterEntry(NOVELTY, NoveltyExpert.kind, {}, lacks_repeats),
        _entry(TREND, PopularityExpert.kind, config.trend, lacks_clock),
        _entry(POPULARITY, PopularityExpert.kind, config.popularity, None),
    ]


def _entry(name: str, kind: str, settings: BaseModel | None, missing: str | None) -> RosterEntry:
    if settings is None:
        return RosterEntry(name, kind, {}, _UNSET)
    return RosterEntry(name, kind, settings.model_dump(mode="json", exclude=_SET_BY_TRAINING), missing)


def _too_many(n_items: int, most: int | None) -> str | None:
    if most is None or n_items <= most:
        return None
    return f"the catalogue has {n_items:,} items, and max_items is {most:,}"
