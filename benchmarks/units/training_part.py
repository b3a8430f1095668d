"""Which of a data set's events fits are given; kept fits are told apart by it. Knows nothing of what is fitted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from benchmarks.units.bench import Bench
from recsys.context.sequences import Sequences
from recsys.evaluation import temporal
from recsys.evaluation.unseen import held_out_users, without_users


@dataclass(frozen=True, slots=True)
class TrainingPart:
    """A part of the events; nothing else plays a part in a fit on it.

    Attributes:
        key: plain values by which kept fits are told apart, others for every part; fits on disk are found by it.
        sequences: the events of a benchmark; every user stays, perhaps with none.
    """

    key: Mapping[str, object]
    sequences: Callable[[Bench], Sequences]


EVERYTHING = TrainingPart({"unseen": None}, lambda bench: bench.train)
"""All events that may train."""

BEFORE_MOMENT = TrainingPart(
    {"unseen": None, "before": temporal.TRAINING_SHARE},
    lambda bench: temporal.training_sequences(bench.whole, bench.moments),
)
"""What may train under the temporal split: everybody's events before its first moment, whatever the other protocols
keep of them."""


def without_share(seed: int) -> TrainingPart:
    """All events that may train but those of the users whom a seed holds out."""

    def others(bench: Bench) -> Sequences:
        return without_users(bench.train, held_out_users(len(bench.whole), seed))

    return TrainingPart({"unseen": seed}, others)
