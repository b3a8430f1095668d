"""What is tried and recorded beside the champion's answers. Off, unless the service was started with it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from recsys.errors import ConfigError
from recsys.events.impressions import Impression
from recsys.events.shadow_scores import ShadowScore
from recsys.serving.experiment.answered import Answered
from recsys.serving.experiment.beside import Beside
from recsys.serving.experiment.shadow import Shadow
from recsys.serving.experiment.splitting import Split
from recsys.serving.messages.replies import ExperimentState, Handled

QUEUED_IMPRESSIONS = 20_000
GATHER_SECONDS = 0.1
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ExperimentOptions:
    """What a service is started with.

    Attributes:
        impressions: write down what is shown to whom. Off by default: it is personal data that nobody asked to keep.
        split: the share of the users who get the challenger's answers; impressions are written then.
        shadow: the share of the requests that the challenger scores beside the replies.

    Raises:
        ConfigError: a share is not between 0 and 1.
    """

    impressions: bool = False
    split: float = 0.0
    shadow: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.split < 1:
            raise ConfigError(f"A split of {self.split:g} gives no experiment: the share lies between 0 and 1.")
        if not 0 <= self.shadow <= 1:
            raise ConfigError(f"{self.shadow:g} is no share of the requests: it lies between 0 and 1.")

    @property
    def records(self) -> bool:
        """Whether impressions are written: a split without them could not be judged."""
        return self.impressions or self.split > 0

    @property
    def has_challenger(self) -> bool:
        """Whether the challenger is loaded at all."""
        return self.split > 0 or self.shadow > 0


@dataclass(frozen=True, slots=True)
class Experiment:
    """Who answers whom, and what is kept of it.

    Attributes:
        split: who answers.
        impressions: writes down what was shown; None: nothing is written.
        shadow: has the challenger score as well; None: it does not.
    """

    split: Split
    impressions: Beside[Impression] | None = None
    shadow: Shadow | None = None

    @property
    def running(self) -> list[AbstractContextManager[object]]:
        """What works in the background and is to be ended with the service."""
        threads = (self.impressions, self.shadow.work if self.shadow else None)
        return [one for one in threads if one is not None]

    def note(self, answered: Answered) -> None:
        """Told of every reply before it is sent; neither waits nor raises."""
        try:
            if self.impressions is not None:
                self.impressions.hand_over(impression_of(answered))
            if self.shadow is not None:
                self.shadow.consider(answered)
        except Exception:
            _log.exception("request %s was answered and not recorded", answered.reply.request_id)

    def state(self) -> ExperimentState:
        """What goes on, for people."""
        challenger = self.split.challenger()
        return ExperimentState(
            challenger_version=None if challenger is None else challenger.version,
            split=self.split.share,
            substitutions=self.split.substitutions,
            impressions=None if self.impressions is None else handled(self.impressions),
            shadow=0.0 if self.shadow is None else self.shadow.share,
            shadow_scores=None if self.shadow is None else handled(self.shadow.work),
        )


def prepared(
    options: ExperimentOptions,
    split: Split,
    write_impressions: Callable[[Sequence[Impression]], object],
    write_scores: Callable[[Sequence[ShadowScore]], object],
) -> Experiment:
    """The parts that the options ask for; what works in the background does so once it is entered."""
    return Experiment(
        split,
        impression_recorder(write_impressions) if options.records else None,
        Shadow(split.challenger, options.shadow, write_scores) if options.shadow > 0 else None,
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


def handled(beside: Beside[Any]) -> Handled:
    """How much was done and dropped so far."""
    return Handled(done=beside.done, dropped=beside.dropped)
