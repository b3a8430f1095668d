"""A client of the HTTP service, for applications: light to import, typed replies, safe retries.

It knows the API and nothing of the server: neither torch nor FastAPI comes with it.
"""

from recsys.client.asynchronous import AsyncClient
from recsys.client.bodies import (
    Event,
    Filter,
    HeadsBody,
    InlineContext,
    InlineEvent,
    ItemBody,
    ScoredContext,
    ScoresBody,
)
from recsys.client.sync import Client
from recsys.errors import ServiceError
from recsys.serving.messages.more_replies import (
    DeletionReply,
    HeadsReply,
    ItemReply,
    ScoresReply,
    SimilarReply,
    UserContextReply,
)
from recsys.serving.messages.replies import EventsReply, Health, ModelReply, Readiness, RecommendationReply

__all__ = [
    "AsyncClient",
    "Client",
    "DeletionReply",
    "Event",
    "EventsReply",
    "Filter",
    "HeadsBody",
    "HeadsReply",
    "Health",
    "InlineContext",
    "InlineEvent",
    "ItemBody",
    "ItemReply",
    "ModelReply",
    "Readiness",
    "RecommendationReply",
    "ScoredContext",
    "ScoresBody",
    "ScoresReply",
    "ServiceError",
    "SimilarReply",
    "UserContextReply",
]
