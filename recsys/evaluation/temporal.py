"""Temporal split: train before a moment, predict each user's first event after it. For data with a clock.

Two moments divide the data: what lies before the first trains, a user's first event between them is the validation
target, the first event from the second on is the test target. Only users with a training event are evaluated. A
context holds the user's events strictly before its target. No timestamp of a target is an input.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from recsys import columns
from recsys.context.sequences import Sequences
from recsys.errors import ConfigError, DataError
from recsys.evaluation.cases import Cases
from recsys.evaluation.protocol import Split, SplitName

TRAINING_SHARE = 0.8
VALIDATION_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class TemporalMoments:
    """Where the data are divided.

    Attributes:
        validation_from: microseconds; events before it train.
        test_from: microseconds; from it on events are for the test.
    """

    validation_from: int
    test_from: int

    def __post_init__(self) -> None:
        if self.validation_from >= self.test_from:
            raise ConfigError(
                f"The test begins at {self.test_from} and the validation at {self.validation_from} (microseconds); "
                "the validation must begin first."
            )


def moments_by_share(
    times: np.ndarray, training: float = TRAINING_SHARE, validation: float = VALIDATION_SHARE
) -> TemporalMoments:
    """The moments that leave these shares of all events to training and validation, the rest to the test.

    Args:
        times: (events,) int64 microseconds of all positive events, in any order.
        training: share of the events before `validation_from`.
        validation: share of the events between the moments.

    Raises:
        ConfigError: the shares leave nothing to one of the three, or all events lie too close together.
        DataError: there are no events.
    """
    if training <= 0 or validation <= 0 or training + validation >= 1:
        raise ConfigError(
            f"Shares of {training:g} for training and {validation:g} for validation leave nothing to one part; "
            "give positive shares whose sum is below 1."
        )
    if not len(times):
        raise DataError("There are no positive events to divide by time. Import events first.")
    ascending = np.sort(times)
    at = [int(share * len(times)) for share in (training, training + validation)]
    return TemporalMoments(*(int(ascending[index]) for index in at))


def temporal(interactions: pl.DataFrame, name: SplitName, moments: TemporalMoments) -> Split:
    """The evaluation split.

    Args:
        interactions: positive events in order, as `recsys.events.ordering.interactions` returns them.
        name: validation (first event between the moments) or test (first event from the second moment on).
        moments: where the data are divided.

    Raises:
        DataError: no user with a training event comes back in that part.
    """
    at = pl.col(columns.OCCURRED_AT)
    trained = interactions.filter(at < moments.validation_from).select(columns.USER_ID).unique()
    part = (
        at >= moments.test_from
        if name == "test"
        else at.is_between(moments.validation_from, moments.test_from, closed="left")
    )
    targets = (
        interactions.filter(part)
        .join(trained, on=columns.USER_ID, how="semi", maintain_order="left")
        .unique(columns.USER_ID, keep="first", maintain_order=True)
    )
    if targets.is_empty():
        raise _nobody_comes_back(name)
    return Split.of(name, targets)


def temporal_cases(whole: Sequences, name: SplitName, moments: TemporalMoments) -> Cases:
    """The evaluation split on arrays: the users and targets of `temporal`, with all events before the target known.

    Args:
        whole: complete sequences.
        name: validation or test.
        moments: where the data are divided.

    Raises:
        DataError: no user with a training event comes back in that part.
    """
    trained = training_sequences(whole, moments).lengths
    before_test = whole.keep(whole.times < moments.test_from).lengths
    known, end = (before_test, whole.lengths) if name == "test" else (trained, before_test)
    users = np.flatnonzero((trained > 0) & (known < end))
    if not len(users):
        raise _nobody_comes_back(name)
    return Cases(users, known[users], whole.items[whole.offsets[users] + known[users]])


def training_sequences(sequences: Sequences, moments: TemporalMoments) -> Sequences:
    """The events that may train: those before the validation begins."""
    return sequences.keep(sequences.times < moments.validation_from)


def _nobody_comes_back(name: SplitName) -> DataError:
    return DataError(
        f"No user with events before the validation comes back in the {name} part. Choose earlier moments, or "
        "import a longer stretch of time."
    )
