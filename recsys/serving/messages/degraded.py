"""Why an answer is less than it could be, in sentences: the context's reasons, and the model's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from recsys.context.reasons import Reason
from recsys.serving.messages.replies import Degraded

ModelReason = Literal["registry_unreachable"]
REGISTRY_UNREACHABLE: Final = "registry_unreachable"

SENTENCES: Mapping[Reason | ModelReason, str] = {
    "unknown_user": "Nothing is stored about this user: the answer is what suits everybody.",
    "empty_context": "The context holds nothing that the model knows: the answer is what suits everybody.",
    "broken_row": "What is stored about this user is damaged: the answer is what suits everybody.",
    "future_event": "The event log holds events of this user that lie in the future: they were left out.",
    "event_before_1970": "The event log holds events of this user at or before 1970: they count as the oldest ones.",
    "store_error": "The feature store could not be read: the answer ignores what is stored about the user.",
    "store_timeout": "The feature store did not answer in time: the answer ignores what is stored about the user.",
    "registry_unreachable": "The registry cannot be read: this is the last champion that was promoted here.",
}


def described(reason: Reason | ModelReason | None) -> Degraded | None:
    """The reason as replies carry it."""
    return None if reason is None else Degraded(reason=reason, detail=SENTENCES[reason])
