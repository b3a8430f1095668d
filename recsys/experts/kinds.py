"""Every kind of expert by name, so that a snapshot's plain values and tensors become experts again."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from recsys.errors import SnapshotError
from recsys.experts.body import BodyExpert
from recsys.experts.content import ContentExpert
from recsys.experts.habit import HabitExpert
from recsys.experts.long_term import LongTermMemory
from recsys.experts.memory import SequenceMemory
from recsys.experts.novelty import NoveltyExpert
from recsys.experts.popularity import PopularityExpert
from recsys.experts.protocol import Expert
from recsys.experts.repeat import RepeatExpert

KINDS: Mapping[str, type[Expert]] = {
    kind.kind: kind
    for kind in (
        BodyExpert,
        SequenceMemory,
        LongTermMemory,
        ContentExpert,
        RepeatExpert,
        HabitExpert,
        NoveltyExpert,
        PopularityExpert,
    )
}


def rebuilt(kind: str, settings: Mapping[str, object], tensors: Mapping[str, Tensor]) -> Expert:
    """The expert that these settings and tensors came from.

    Raises:
        SnapshotError: there is no such kind.
    """
    if kind not in KINDS:
        raise SnapshotError(f"The snapshot has an expert of kind '{kind}'; known are {', '.join(KINDS)}. Train again.")
    return KINDS[kind].rebuild(settings, tensors)
