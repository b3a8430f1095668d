"""Fits a training run into a number of seconds: as many epochs of the body as there is time for. Registers nothing.

What the closed-form experts and an epoch take is measured here first, so that the body's learning rate can be planned
for the epochs it will get. The heads, the validation and the registration keep a share of the seconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np

from recsys.context.sequences import Sequences
from recsys.training.attributes import ItemAttributes
from recsys.training.config import TrainConfig
from recsys.training.experts import closed_form_fits, fit_body_expert

HEADS_SHARE = 0.25
"""Of all seconds: for heads, validation, feature store and registry."""
CLOSED_FORM_FITS = 2
"""Without the generator's targets, and then on everything."""
_PROBE_EPOCHS = 2
"""The first one warms up, the second one is timed."""
_PROBE_STEPS = 25
_TICK = 1e-3
"""Of tiny data both epochs may be heard of at once."""


@dataclass(frozen=True, slots=True)
class TimePlan:
    """How a run fits into its seconds.

    Attributes:
        budget: seconds for all, this plan included.
        epochs: of the body, at least 1.
        configured_epochs: what the configuration asks for, and the most there will be.
        epoch_seconds: an epoch's, reckoned from a few measured steps.
        start_seconds: the body's workers take so long before their first step.
        closed_form_seconds: all closed-form experts once, measured.
        spent_seconds: on measuring.
    """

    budget: float
    epochs: int
    configured_epochs: int
    epoch_seconds: float
    start_seconds: float
    closed_form_seconds: float
    spent_seconds: float

    def applied(self, config: TrainConfig) -> TrainConfig:
        """The configuration with the planned epochs: what is trained and registered."""
        return config.model_copy(
            update={"body_training": config.body_training.model_copy(update={"epochs": self.epochs})}
        )

    def as_dict(self) -> dict[str, object]:
        """Plain values, for --json."""
        return asdict(self)


def plan_within(
    sequences: Sequences,
    attributes: ItemAttributes,
    config: TrainConfig,
    *,
    clock: bool,
    repeats: bool,
    seconds: float,
    now: Callable[[], float] = time.monotonic,
) -> TimePlan:
    """Measures, and plans the body's epochs.

    Args:
        sequences: training sequences.
        attributes: of every item of the vocabulary.
        config: everything that decides.
        clock: whether event times are real.
        repeats: whether items repeat.
        seconds: for all of the run from now on.
        now: seconds from anywhere.

    Raises:
        DataError: there is nothing for the body to learn from.
        TrainingError: a ridge is too small, or a worker failed.
    """
    began = now()
    for fit in closed_form_fits(sequences, attributes, config, clock=clock, repeats=repeats).values():
        fit()
    closed_form = now() - began
    start, epoch = _measured_body(sequences, attributes, config, clock, now)
    spent = now() - began
    left = seconds * (1 - HEADS_SHARE) - spent - CLOSED_FORM_FITS * closed_form - start
    most = config.body_training.epochs
    return TimePlan(
        budget=seconds,
        epochs=most if epoch * most <= left else max(int(left / epoch), 1),
        configured_epochs=most,
        epoch_seconds=epoch,
        start_seconds=start,
        closed_form_seconds=closed_form,
        spent_seconds=spent,
    )


class _Stopwatch:
    """Progress that notes when each step ended."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self.ends: list[float] = []

    def stage(self, name: str, steps: int) -> _Stopwatch:
        """Begins a stage."""
        return self

    def advance(self, note: str = "") -> None:
        """One step further."""
        self.ends.append(self._now())


def _measured_body(
    sequences: Sequences, attributes: ItemAttributes, config: TrainConfig, clock: bool, now: Callable[[], float]
) -> tuple[float, float]:
    """Seconds before the first step, and of a whole epoch, from a few steps' worth of users drawn at random."""
    wanted = _PROBE_STEPS * config.body_training.batch_events
    users = np.random.default_rng(config.seed).permutation(np.flatnonzero(sequences.lengths >= 2))
    events = sequences.lengths[users].cumsum()
    sample = sequences.take(users[: int(np.searchsorted(events, wanted)) + 1])
    short = config.body_training.model_copy(update={"epochs": _PROBE_EPOCHS})
    watch, began = _Stopwatch(now), now()
    fit_body_expert(sample, attributes, config.model_copy(update={"body_training": short}), watch, clock=clock)
    first, second = watch.ends
    own = max(second - first, _TICK)
    return max(first - began - own, 0.0), own * max(len(sequences.items) / max(len(sample.items), 1), 1.0)
