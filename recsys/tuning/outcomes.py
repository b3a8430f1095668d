"""What trials came to, collected as they tell it. Knows nothing of Ray."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal

from recsys.tuning.space import Point
from recsys.tuning.trial import JUDGED_BY, Judgement

State = Literal["finished", "stopped early", "failed", "cut off"]


@dataclass(slots=True)
class Outcome:
    """One trial.

    Attributes:
        number: from 0, in the order in which they were chosen.
        point: the settings that it changed.
        state: finished: the whole model was judged; stopped early: its body was worse than others'; cut off: the search
            ended first.
        body_curve: NDCG@10 of the body after each epoch.
        figures: of the whole model; empty where there was none.
        seconds: how long it took.
        why: what failed.
    """

    number: int
    point: Point
    state: State = "cut off"
    body_curve: list[float] = field(default_factory=list)
    figures: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    why: str | None = None

    def add(self, judgement: Judgement) -> None:
        """Takes in what the trial tells."""
        if judgement.epoch is None:
            self.figures, self.state = judgement.figures, "finished"
        else:
            self.body_curve.append(judgement.figures[JUDGED_BY])

    @property
    def value(self) -> float | None:
        """NDCG@10 of the whole model; of the body as it last was where there was none; None: nothing was judged."""
        if self.figures:
            return self.figures[JUDGED_BY]
        return self.body_curve[-1] if self.body_curve else None

    def as_dict(self) -> dict[str, object]:
        """Plain values, for --json."""
        return asdict(self) | {JUDGED_BY: self.value}


def best_of(outcomes: Iterable[Outcome]) -> Outcome | None:
    """The one with the best whole model; while there is none, the one with the best body. A failed one is neither."""
    judged = [one for one in outcomes if one.value is not None and one.state != "failed"]
    return max(judged, key=lambda one: (bool(one.figures), one.value, -one.number), default=None)
