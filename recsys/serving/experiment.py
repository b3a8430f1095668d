"""What is tried and recorded beside the champion's answers. Off, unless the service was started with it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from recsys.context.batch import FeatureRow
from recsys.errors import ConfigError
from recsys.events.impressions import Impression
from recsys.serving.beside import Beside
from recsys.serving.replies import ExperimentState, Handled, RecommendationReply
from recsys.serving.requests import RecommendationRequest
from recsys.serving.splitting import Assigned, Split

QUEUED_IMPRESSIONS = 20_000
GATHER_SECONDS = 0.1
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ExperimentOptions:
    """What a service is started with.

    Attributes:
        impressions: write down what is shown to whom. Off by default: it is personal data that nobody asked to keep.
        split: the share of the users who get the challenger's answers; impressions are written then.

    Raises:
        ConfigError: a share is not between 0 and 1.
    """

    impressions: bool = False
    split: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.split < 1:
            raise ConfigError(f"A split of {self.split:g} gives no experiment: the share lies between 0 and 1.")

    @property
    def records(self) -> bool:
        """Whether impressions are written: a split without them could not be judged."""
        return self.impressions or self.split > 0

    @property
    def has_challenger(self) -> bool:
        """Whether the challenger is loaded at all."""
        return self.split > 0


@dataclass(frozen=True, slots=True)
class Answered:
    """A reply and all that made it.

    Attributes:
        request: what was asked.
        reply: what was answered.
        assigned: who answered, and as part of what.
        row: the features that were scored.
        asked_at: microseconds since the epoch.
        seconds: what scoring took.
    """

    request: RecommendationRequest
    reply: RecommendationReply
    assigned: Assigned
    row: FeatureRow
    asked_at: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Experiment:
    """Who answers whom, and what is kept of it.

    Attributes:
        split: who answers.
        impressions: writes down what was shown; None: nothing is written.
    """

    split: Split
    impressions: Beside[Impression] | None = None

    def note(self, answered: Answered) -> None:
        """Told of every reply before it is sent; neither waits nor raises."""
        try:
            if self.impressions is not None:
                self.impressions.hand_over(impression_of(answered))
        except Exception:
            _log.exception("request %s was answered and not recorded", answered.reply.request_id)

    def state(self) -> ExperimentState:
        """What goes on, for people."""
        challenger = self.split.challenger()
        return ExperimentState(
            challenger_version=None if challenger is None else challenger.version,
            split=self.split.share,
            substitutions=self.split.substitutions,
            impressions=_handled(self.impressions),
        )


def impression_recorder(write: Callable[[Sequence[Impression]], object]) -> Beside[Impression]:
    """Writes impressions in batches, beside the replies."""
    return Beside(write, what="impressions", size=QUEUED_IMPRESSIONS, gather_seconds=GATHER_SECONDS)


def impression_of(answered: Answered) -> Impression:
    """What is kept of a reply."""
    reply, assigned = answered.reply, answered.assigned
    return Impression(
        request_id=reply.request_id,
        shown_at=answered.asked_at,
        user_id=reply.user_id,
        model_version=reply.model_version,
        item_ids=tuple(item.item_id for item in reply.items),
        arm=assigned.arm,
        champion_version=None if assigned.arm is None else assigned.champion.version,
        challenger_version=assigned.challenger_version,
        propensity=assigned.propensity,
        surface=answered.request.surface,
        degraded=None if reply.degraded is None else reply.degraded.reason,
    )


def _handled(beside: Beside[Impression] | None) -> Handled | None:
    return None if beside is None else Handled(done=beside.done, dropped=beside.dropped)
