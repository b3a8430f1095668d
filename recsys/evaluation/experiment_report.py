"""What an experiment on live users is told as: arms, figures, verdict. Knows nothing of how they come about."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

Verdict = Literal["better", "worse", "mixed", "no_difference", "too_little_data"]


@dataclass(frozen=True, slots=True)
class ArmSummary:
    """What one arm saw.

    Attributes:
        arm: `champion` or `challenger`.
        users: users, and visitors' requests, each of which counts as a user.
        visitors: how many of these are visitors' requests.
        impressions: replies.
        taken: replies of which an item was taken.
        named: how many of those an event named itself; the others are guessed.
        substituted: replies that the champion made in the challenger's arm: it failed, or the request was beyond it.
    """

    arm: str
    users: int
    visitors: int
    impressions: int
    taken: int
    named: int
    substituted: int


@dataclass(frozen=True, slots=True)
class MetricComparison:
    """The challenger against the champion by one figure.

    Attributes:
        metric: its name.
        champion: the champion's figure.
        challenger: the challenger's.
        difference: challenger - champion.
        low: lower end of the 95 % interval of the difference.
        high: its upper end.
        p_value: adjusted (Holm) for the number of figures.
        verdict: what it says.
        users_needed: users of both arms together to see the smallest difference that matters; None where unknown.
    """

    metric: str
    champion: float
    challenger: float
    difference: float
    low: float
    high: float
    p_value: float
    verdict: Verdict
    users_needed: int | None


@dataclass(frozen=True, slots=True)
class ExperimentReport:
    """What an experiment says.

    Attributes:
        arms: champion and challenger.
        metrics: each figure; empty where an arm has fewer than two users.
        balance: p value of the sizes of the arms.
        verdict: of all figures together.
    """

    arms: tuple[ArmSummary, ArmSummary]
    metrics: tuple[MetricComparison, ...]
    balance: float
    verdict: Verdict

    @property
    def users_needed(self) -> int | None:
        """Users of both arms together for all figures; None where unknown."""
        known = [metric.users_needed for metric in self.metrics if metric.users_needed is not None]
        return max(known) if known else None

    def as_dict(self) -> dict[str, object]:
        """Plain values, for --json."""
        return asdict(self) | {"users_needed": self.users_needed}
