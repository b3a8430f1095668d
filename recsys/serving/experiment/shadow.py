"""Has the challenger score a share of the requests as well, after the champion has, and notes how far they agree.

Nothing of it shows in a reply: a challenger that is slow, damaged or raises costs only shadow scores.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from recsys.context.batch import FeatureRow
from recsys.events.shadow_scores import ShadowScore
from recsys.metrics.agreement import overlap, rank_correlation
from recsys.serving.contexts import resolve
from recsys.serving.experiment.answered import Answered
from recsys.serving.experiment.beside import Beside
from recsys.serving.experiment.splitting import place
from recsys.serving.ports import ServedModel

QUEUED = 64
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Task:
    answered: Answered
    challenger: ServedModel


class Shadow:
    """Scores in the background. `work` is the thread that does; it ends with the service.

    Args:
        challenger: the challenger while there is one.
        share: of the requests, 0 to 1, by their ids.
        write: keeps the scores.
    """

    def __init__(
        self,
        challenger: Callable[[], ServedModel | None],
        share: float,
        write: Callable[[Sequence[ShadowScore]], object],
    ) -> None:
        self.share = share
        self._challenger = challenger
        self._write = write
        self._failing: str | None = None
        self.work: Beside[_Task] = Beside(self._score_all, what="shadow scores", size=QUEUED)

    def consider(self, answered: Answered) -> None:
        """Hands a request over when it is one of the share, and the champion answered it; does not wait."""
        challenger, model = self._challenger(), answered.assigned.model
        if challenger is None or model is not answered.assigned.champion or challenger.version == model.version:
            return
        if place("shadow", answered.reply.request_id) < self.share:
            self.work.hand_over(_Task(answered, challenger))

    def _score_all(self, tasks: Sequence[_Task]) -> None:
        self._write([self._score(task) for task in tasks])

    def _score(self, task: _Task) -> ShadowScore:
        answered, version = task.answered, task.challenger.version
        shown = [item.item_id for item in answered.reply.items]
        plain = ShadowScore(
            scored_at=answered.asked_at,
            champion_version=answered.reply.model_version,
            challenger_version=version,
            k=len(shown),
            champion_ms=answered.seconds * 1_000,
        )
        try:
            listed, seconds = _listed(answered, task.challenger)
        except Exception:
            if self._failing != version:
                _log.exception("challenger %s failed in the shadow; replies are not affected", version)
            self._failing = version
            return plain
        return ShadowScore(
            scored_at=plain.scored_at,
            champion_version=plain.champion_version,
            challenger_version=version,
            k=plain.k,
            champion_ms=plain.champion_ms,
            challenger_ms=seconds * 1_000,
            overlap=overlap(shown, listed),
            correlation=rank_correlation(shown, listed),
            same_first=int(shown[:1] == list(listed[:1])),
        )


def _listed(answered: Answered, challenger: ServedModel) -> tuple[tuple[str, ...], float]:
    """What the challenger would have answered, and the seconds that scoring took."""
    row, k = _row(answered, challenger), max(1, min(len(answered.reply.items), len(challenger.vocabulary)))
    started = time.perf_counter()
    ranking = answered.again(row, k, challenger)
    return ranking.item_ids, time.perf_counter() - started


def _row(answered: Answered, challenger: ServedModel) -> FeatureRow:
    """The row that the champion read; where the challenger reads other features, its own, read now."""
    features, request = challenger.features, answered.request
    if features is answered.assigned.champion.features:
        return answered.row
    return resolve(request.user_id, request.context, features.contexts, features.schema, answered.asked_at).row
