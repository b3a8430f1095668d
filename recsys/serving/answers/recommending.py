"""Answers a request for recommendations: context, model, titles. Knows nothing of HTTP, of stores or of loading."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from recsys.context.batch import FeatureRow
from recsys.context.reasons import EMPTY_CONTEXT, Reason
from recsys.serving.answers.choosing import Choice, shortfall
from recsys.serving.answers.listing import listed
from recsys.serving.contexts import Resolved, resolve
from recsys.serving.experiment.answered import Answered
from recsys.serving.experiment.experiment import Experiment
from recsys.serving.experiment.splitting import Assigned
from recsys.serving.folder.items import Items
from recsys.serving.http.problems import InvalidField, InvalidRequestError
from recsys.serving.messages.degraded import ModelReason, described
from recsys.serving.messages.replies import ContextUsed, Origin, RecommendationReply
from recsys.serving.messages.requests import MAX_EXPLAINED, RecommendationRequest
from recsys.serving.ports import RankedItems, ServedModel

_SHORT = 1_000
"""Items of a list that is written within milliseconds."""
WHO = "Give a user_id, a context, or both."
"""What is missing where a request is about nobody."""


def microseconds_now() -> int:
    """The wall clock, microseconds since the epoch."""
    return time.time_ns() // 1_000


@dataclass(frozen=True, slots=True)
class Recommending:
    """The one way of an online answer.

    Attributes:
        experiment: which model answers whom, and what is kept of it.
        choice: which items may come, and what they are called.
        clock: microseconds since the epoch.
    """

    experiment: Experiment
    choice: Choice
    clock: Callable[[], int] = microseconds_now

    def answer(
        self, request: RecommendationRequest, request_id: str, items: Items | None = None
    ) -> RecommendationReply:
        """One request, one reply, made by one model. Where the challenger fails, or cannot answer, the champion does.

        Args:
            request: what is asked.
            request_id: its id.
            items: what is known of items as of the request, as `quick_items` gave it; None: it is looked up.

        Raises:
            InvalidRequestError: the request cannot be answered as it is; names the fields.
            NoChampionError: there is no model.
        """
        assigned = self.experiment.split.assigned(request.user_id, request_id)
        items = items or self.choice.items.current()
        try:
            answered = self._answered(request, request_id, assigned, items)
        except Exception as error:
            if not assigned.has_substitute:
                raise
            answered = self._answered(request, request_id, assigned.substituted(), items)
            if not isinstance(error, InvalidRequestError):  # it has fewer items or columns than the champion
                self.experiment.split.note_substitution(assigned.model, error)
        self.experiment.note(answered)
        return answered.reply

    def quick_items(self, request: RecommendationRequest, request_id: str) -> Items | None:
        """What is known of items, for an answer that takes milliseconds of computing, writing included, and no waiting.

        None where it takes longer: the list is long, it is explained or mixed, items have to be read first, or what may
        be recommended has to be found out.

        Raises:
            NoChampionError: there is no model.
        """
        model = self.experiment.split.assigned(request.user_id, request_id).model
        short = request.k <= _SHORT and not request.explain and not request.diversity
        if not (short and model.features.embedded):
            return None
        items = self.choice.items.at_hand()
        return items if items is not None and self.choice.is_quick(request.filters, model, items) else None

    def _answered(self, request: RecommendationRequest, request_id: str, assigned: Assigned, items: Items) -> Answered:
        model, now = assigned.model, self.clock()
        features = model.features
        k = _k(request, model)
        resolved = resolve(request.user_id, request.context, features.contexts, features.schema, now)
        started = time.perf_counter()
        allowed = self.choice.allowed(request.filters, model, items)
        ranking = _ranking(request, resolved.row, k, model, allowed)
        seconds = time.perf_counter() - started
        explained = model.ranker.explain(resolved.row, ranking.item_ids[:MAX_EXPLAINED]) if request.explain else ()
        reply = RecommendationReply(
            request_id=request_id,
            model_version=model.version,
            feature_service=features.service,
            degraded=described(reason(resolved, model)),
            arm=assigned.arm,
            origin=_origin(model),
            user_id=request.user_id,
            context=context_used(resolved),
            items=listed(ranking, explained, items.titles),
            ignored_items=_ignored(request, model),
            shortfall=shortfall(
                request, len(ranking.item_ids), k, allowed, hides_seen=_hides_seen(request, resolved.row, model)
            ),
        )
        return Answered(request, reply, assigned, resolved.row, now, seconds, partial(self._again, request))

    def _again(self, request: RecommendationRequest, row: FeatureRow, k: int, model: ServedModel) -> RankedItems:
        """What another model answers to a request, from a row of the features that it reads."""
        allowed = self.choice.allowed(request.filters, model, self.choice.items.current())
        return _ranking(request, row, k, model, allowed)


def context_used(resolved: Resolved) -> ContextUsed:
    """What a reply says of the context that it was computed from."""
    row = resolved.row
    return ContextUsed(stored=resolved.stored, events=row.event_count, log_sequence=row.log_sequence)


def _ranking(
    request: RecommendationRequest, row: FeatureRow, k: int, model: ServedModel, allowed: np.ndarray | None
) -> RankedItems:
    [ranking] = model.ranker.recommend(
        [row],
        k=k,
        exclude_seen=request.exclude_seen,
        exclude_items=[item for item in request.exclude_items if item in model.vocabulary],
        include_only=request.include_only,
        allowed=allowed,
        diversity=request.diversity,
    )
    return ranking


def _hides_seen(request: RecommendationRequest, row: FeatureRow, model: ServedModel) -> bool:
    hide = not model.features.schema.repeats if request.exclude_seen is None else request.exclude_seen
    return hide and bool(row.seen_items)


def _origin(model: ServedModel) -> Origin:
    """Null where a snapshot of earlier versions did not write it down."""
    told = {name: model.lineage.get(name) for name in ("data_fingerprint", "log_position", "code_commit")}
    return Origin.model_validate({"content_hash": model.content_hash, **told})


def _k(request: RecommendationRequest, model: ServedModel) -> int:
    """How many items to answer with; the default is no mistake of the caller's in a small catalogue."""
    if request.user_id is None and request.context is None:
        raise InvalidRequestError(InvalidField(("user_id",), WHO))
    size = len(model.vocabulary)
    if request.k <= size:
        return request.k
    if "k" not in request.model_fields_set:
        return size
    raise InvalidRequestError(InvalidField(("k",), f"The catalogue has {size} items; ask for 1 to {size}."))


def reason(resolved: Resolved, model: ServedModel) -> Reason | ModelReason | None:
    """The row's own reason, or that nothing in its history means anything to this model; else the model's."""
    if resolved.degraded is not None:
        return resolved.degraded
    history = resolved.row.history_items
    if history and not any(item in model.vocabulary for item in history):
        return EMPTY_CONTEXT
    return model.degraded


def _ignored(request: RecommendationRequest, model: ServedModel) -> list[str]:
    history = request.context.history if request.context is not None else []
    return list(dict.fromkeys(event.item_id for event in history if event.item_id not in model.vocabulary))
