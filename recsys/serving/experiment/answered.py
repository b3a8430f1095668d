"""What an answer was made of, for whoever records or repeats it beside the reply."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from recsys.context.batch import FeatureRow
from recsys.serving.experiment.splitting import Assigned
from recsys.serving.messages.replies import RecommendationReply
from recsys.serving.messages.requests import RecommendationRequest
from recsys.serving.ports import RankedItems, ServedModel


@dataclass(frozen=True, slots=True)
class Answered:
    """A reply and all that made it.

    Attributes:
        request: what was asked.
        reply: what was answered.
        assigned: who answered, and as part of what.
        row: the features that were scored.
        asked_at: microseconds since the epoch.
        seconds: what ranking took.
        again: what another model answers to the same request, from its own row of features and with k items.
    """

    request: RecommendationRequest
    reply: RecommendationReply
    assigned: Assigned
    row: FeatureRow
    asked_at: int
    seconds: float
    again: Callable[[FeatureRow, int, ServedModel], RankedItems]
