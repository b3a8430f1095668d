"""The head of a context, handed out with all that is needed to score candidates elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import orjson
from pydantic import Field
from safetensors.numpy import save

from recsys.model.portable import PortableHead
from recsys.serving.answers.recommending import WHO, context_used, microseconds_now, reason
from recsys.serving.contexts import resolve
from recsys.serving.http.problems import InvalidField, InvalidRequestError
from recsys.serving.messages.degraded import described
from recsys.serving.messages.more_replies import HeadsReply
from recsys.serving.messages.replies import Degraded
from recsys.serving.messages.requests import Identifier, InlineContext, Listed, RequestModel, one_at_least
from recsys.serving.ports import ModelSource

SAFETENSORS = "application/vnd.safetensors"
MAX_CANDIDATES = 1_000


class HeadsRequest(RequestModel):
    """Give `user_id`, `context`, or both, and the items to be scored elsewhere."""

    model_config = one_at_least(user_id="string", context="object")

    user_id: Identifier | None = None
    context: InlineContext | None = None
    items: Listed[Identifier] = Field(default_factory=list, max_length=MAX_CANDIDATES)


@dataclass(frozen=True, slots=True)
class HandedOut:
    """A reply before it is written in one of its forms.

    Attributes:
        about: everything but the numbers.
        head: the numbers.
        degraded: why it is less than it could be; part of `about` as well.
    """

    about: dict[str, object]
    head: PortableHead
    degraded: Degraded | None

    def as_reply(self) -> HeadsReply:
        """For JSON."""
        numbers = {name: tensor.tolist() for name, tensor in self.head.tensors.items()}
        return HeadsReply.model_validate({**self.about, "tensors": numbers})

    def as_safetensors(self) -> bytes:
        """The tensors, and everything else as the file's metadata, each value as JSON text."""
        metadata = {name: orjson.dumps(value).decode() for name, value in self.about.items()}
        return save({name: tensor.numpy() for name, tensor in self.head.tensors.items()}, metadata)


@dataclass(frozen=True, slots=True)
class Heads:
    """The one way of a head out of the service.

    Attributes:
        models: which model answers, and from which features.
        clock: microseconds since the epoch.
    """

    models: ModelSource
    clock: Callable[[], int] = microseconds_now

    def hand_out(self, request: HeadsRequest, request_id: str) -> HandedOut:
        """One request's head.

        Raises:
            InvalidRequestError: the request cannot be answered as it is; names the fields.
            NoChampionError: there is no model.
        """
        if request.user_id is None and request.context is None:
            raise InvalidRequestError(InvalidField(("user_id",), WHO))
        model = self.models.current()
        features = model.features
        found = resolve(request.user_id, request.context, features.contexts, features.schema, self.clock())
        known = [item for item in request.items if item in model.vocabulary]
        head = model.ranker.portable(found.row, known)
        degraded = described(reason(found, model))
        about: dict[str, object] = {
            "request_id": request_id,
            "model_version": model.version,
            "feature_service": features.service,
            "degraded": None if degraded is None else degraded.model_dump(),
            "user_id": request.user_id,
            "context": context_used(found).model_dump(),
            "kind": head.kind,
            "experts": list(head.experts),
            "item_ids": known,
            "unknown_items": list(dict.fromkeys(item for item in request.items if item not in model.vocabulary)),
        }
        return HandedOut(about, head, degraded)
