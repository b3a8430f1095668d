"""Scores of given candidates for one or many contexts: one read of the feature store and one forward pass for all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pydantic import Field

from recsys.serving.answers.recommending import WHO, context_used, microseconds_now, reason
from recsys.serving.contexts import Resolved, resolve_all
from recsys.serving.http.problems import InvalidField, InvalidRequestError
from recsys.serving.messages.degraded import described
from recsys.serving.messages.more_replies import ScoredUser, ScoresReply
from recsys.serving.messages.requests import Identifier, InlineContext, Listed, RequestModel, one_at_least
from recsys.serving.ports import Estimated, ModelSource, ServedModel

MAX_USERS = 100
MAX_CANDIDATES = 10_000
MAX_SCORES = 100_000


class ScoredContext(RequestModel):
    """Whom to score for: `user_id`, `context`, or both."""

    model_config = one_at_least(user_id="string", context="object")

    user_id: Identifier | None = None
    context: InlineContext | None = None
    items: Listed[Identifier] | None = Field(
        default=None, max_length=MAX_CANDIDATES, description="Candidates of this one alone, instead of the shared ones."
    )


class ScoresRequest(RequestModel):
    """Candidates for one or many users, all against the same model."""

    users: Listed[ScoredContext] = Field(min_length=1, max_length=MAX_USERS)
    items: Listed[Identifier] | None = Field(
        default=None, max_length=MAX_CANDIDATES, description="Candidates of everybody who has none of their own."
    )
    probabilities: bool = Field(
        default=False,
        description="Also the calibrated probability that the item is the next one (in the next basket, where there "
        "are baskets); 0 for seen items where items do not repeat.",
    )


@dataclass(frozen=True, slots=True)
class Scoring:
    """The one way of an online score.

    Attributes:
        models: which model answers, and from which features.
        clock: microseconds since the epoch.
    """

    models: ModelSource
    clock: Callable[[], int] = microseconds_now

    def answer(self, request: ScoresRequest, request_id: str) -> ScoresReply:
        """One request, one reply.

        Raises:
            InvalidRequestError: the request cannot be answered as it is; names the fields.
            NoChampionError: there is no model.
        """
        model = self.models.current()
        candidates = _candidates(request)
        resolved = self._resolved(request, model)
        found = model.ranker.estimate([one.row for one in resolved], candidates, probabilities=request.probabilities)
        users = [
            _scored(one, own, estimated, model) for one, own, estimated in zip(resolved, candidates, found, strict=True)
        ]
        unknown = (item for own in candidates for item in own if item not in model.vocabulary)
        return ScoresReply(
            request_id=request_id,
            model_version=model.version,
            feature_service=model.features.service,
            degraded=next((user.degraded for user in users if user.degraded is not None), None),
            users=users,
            unknown_items=list(dict.fromkeys(unknown)),
        )

    def _resolved(self, request: ScoresRequest, model: ServedModel) -> list[Resolved]:
        features = model.features
        asked = [(user.user_id, user.context) for user in request.users]
        found = resolve_all(asked, features.contexts, features.schema, self.clock())
        wrong = [field for n, one in enumerate(found) for field in _faults(n, one)]
        if wrong:
            raise InvalidRequestError(*wrong)
        return [one for one in found if isinstance(one, Resolved)]


def _candidates(request: ScoresRequest) -> list[Sequence[str]]:
    wrong: list[InvalidField] = []
    found: list[Sequence[str]] = []
    for n, user in enumerate(request.users):
        if user.user_id is None and user.context is None:
            wrong.append(InvalidField(("users", n, "user_id"), WHO))
        own = request.items if user.items is None else user.items
        if not own:
            wrong.append(InvalidField(("users", n, "items"), "Give candidates here, or for everybody in items."))
        found.append(own or ())
    total = sum(map(len, found))
    if total > MAX_SCORES:
        detail = f"These are {total} scores; at most {MAX_SCORES} come in one reply. Send fewer users or candidates."
        wrong.append(InvalidField(("users",), detail))
    if wrong:
        raise InvalidRequestError(*wrong)
    return found


def _faults(number: int, found: Resolved | InvalidRequestError) -> Iterator[InvalidField]:
    if isinstance(found, InvalidRequestError):
        for field in found.fields:
            yield InvalidField(("users", number, *field.location), field.detail)


def _scored(resolved: Resolved, items: Sequence[str], found: Estimated, model: ServedModel) -> ScoredUser:
    row = resolved.row
    return ScoredUser(
        user_id=row.user_id,
        degraded=described(reason(resolved, model)),
        context=context_used(resolved),
        item_ids=list(items),
        scores=list(found.scores),
        probabilities=None if found.probabilities is None else list(found.probabilities),
    )
