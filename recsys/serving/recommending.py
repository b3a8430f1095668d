"""Answers a request for recommendations: context, model, titles. Knows nothing of HTTP, of stores or of loading."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from recsys.context.reasons import EMPTY_CONTEXT, Reason
from recsys.serving.answered import Answered
from recsys.serving.contexts import Resolved, resolve
from recsys.serving.degraded import described
from recsys.serving.experiment import Experiment
from recsys.serving.ports import RankedItems, ServedModel
from recsys.serving.problems import InvalidField, InvalidRequestError
from recsys.serving.replies import ContextUsed, Origin, RecommendationReply, RecommendedItem
from recsys.serving.requests import RecommendationRequest
from recsys.serving.splitting import Assigned


def microseconds_now() -> int:
    """The wall clock, microseconds since the epoch."""
    return time.time_ns() // 1_000


@dataclass(frozen=True, slots=True)
class Recommending:
    """The one way of an online answer.

    Attributes:
        experiment: which model answers whom, and what is kept of it.
        clock: microseconds since the epoch.
    """

    experiment: Experiment
    clock: Callable[[], int] = microseconds_now

    def answer(self, request: RecommendationRequest, request_id: str) -> RecommendationReply:
        """One request, one reply, made by one model. Where the challenger fails the champion answers.

        Raises:
            InvalidRequestError: the request cannot be answered as it is; names the fields.
            NoChampionError: there is no model.
        """
        assigned = self.experiment.split.assigned(request.user_id, request_id)
        try:
            answered = self._answered(request, request_id, assigned)
        except Exception as error:
            if not assigned.has_substitute:
                raise
            answered = self._answered(request, request_id, assigned.substituted())
            self.experiment.split.note_substitution(assigned.model, error)
        self.experiment.note(answered)
        return answered.reply

    def _answered(self, request: RecommendationRequest, request_id: str, assigned: Assigned) -> Answered:
        model, now = assigned.model, self.clock()
        features = model.features
        k = _k(request, model)
        resolved = resolve(request.user_id, request.context, features.contexts, features.schema, now)
        excluded = [item for item in request.exclude_items if item in model.vocabulary]
        started = time.perf_counter()
        [ranking] = model.ranker.recommend(
            [resolved.row], k=k, exclude_seen=request.exclude_seen, exclude_items=excluded
        )
        seconds = time.perf_counter() - started
        reply = RecommendationReply(
            request_id=request_id,
            model_version=model.version,
            feature_service=features.service,
            degraded=described(_reason(resolved, model)),
            arm=assigned.arm,
            origin=_origin(model),
            user_id=request.user_id,
            context=ContextUsed(
                stored=resolved.stored, events=resolved.row.event_count, log_sequence=resolved.row.log_sequence
            ),
            items=_titled(ranking, model),
            ignored_items=_ignored(request, model),
            shortfall=_shortfall(len(ranking.item_ids), k),
        )
        return Answered(request, reply, assigned, resolved.row, now, seconds)


def _origin(model: ServedModel) -> Origin:
    """Null where a snapshot of earlier versions did not write it down."""
    told = {name: model.lineage.get(name) for name in ("data_fingerprint", "log_position", "code_commit")}
    return Origin.model_validate({"content_hash": model.content_hash, **told})


def _titled(ranking: RankedItems, model: ServedModel) -> list[RecommendedItem]:
    return [
        RecommendedItem(item_id=item_id, rank=rank, score=score, title=model.titles.get(item_id))
        for rank, (item_id, score) in enumerate(zip(ranking.item_ids, ranking.scores, strict=True), start=1)
    ]


def _k(request: RecommendationRequest, model: ServedModel) -> int:
    """How many items to answer with; the default is no mistake of the caller's in a small catalogue."""
    if request.user_id is None and request.context is None:
        raise InvalidRequestError(InvalidField(("user_id",), "Give a user_id, a context, or both."))
    size = len(model.vocabulary)
    if request.k <= size:
        return request.k
    if "k" not in request.model_fields_set:
        return size
    raise InvalidRequestError(InvalidField(("k",), f"The catalogue has {size} items; ask for 1 to {size}."))


def _reason(resolved: Resolved, model: ServedModel) -> Reason | None:
    """The row's own reason, or that nothing in its history means anything to this model."""
    if resolved.degraded is not None or not resolved.row.history_items:
        return resolved.degraded
    return None if any(item in model.vocabulary for item in resolved.row.history_items) else EMPTY_CONTEXT


def _ignored(request: RecommendationRequest, model: ServedModel) -> list[str]:
    history = request.context.history if request.context is not None else []
    return list(dict.fromkeys(event.item_id for event in history if event.item_id not in model.vocabulary))


def _shortfall(found: int, asked: int) -> str | None:
    if found == asked:
        return None
    left = "No item is" if found == 0 else f"Only {found} items are"
    return f"{left} left after the user's seen items and exclude_items were taken out."
