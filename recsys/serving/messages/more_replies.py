"""More of what the service answers: scores, heads, items and users. Light to import, as clients read replies by it."""

from __future__ import annotations

from pydantic import Field

from recsys.model.kinds import HeadKind
from recsys.serving.messages.replies import ContextUsed, Degraded, Envelope, ReplyModel

Vector = list[float]
Matrix = list[list[float]]


class ScoredUser(ReplyModel):
    """One context's scores, in the order of its candidates; an id twice is answered twice."""

    user_id: str | None
    degraded: Degraded | None
    context: ContextUsed
    item_ids: list[str]
    scores: list[float | None] = Field(description="Logits; null for an item that the model does not know.")
    probabilities: list[float | None] | None = Field(description="Where they were asked for.")


class ScoresReply(Envelope):
    """Scores, one entry a user in the order asked. `degraded` is the first of the users' reasons."""

    users: list[ScoredUser]
    unknown_items: list[str] = Field(description="Candidates that the model does not know.")


class HeadTensors(ReplyModel):
    """Plain numbers; a safetensors reply has the same names. What a kind of head does not have is null."""

    gains: Vector = Field(description="(experts,)")
    log_temperature: float
    expert_scores: Matrix = Field(description="(items, experts)")
    film: Vector | None = Field(default=None, description="(width,) film, lowrank and full")
    state: Vector | None = Field(default=None, description="(width,) film, lowrank and full")
    vectors: Matrix | None = Field(default=None, description="(items, width) film, lowrank and full")
    core: Matrix | None = Field(default=None, description="(rank, rank) lowrank")
    basis_u: Matrix | None = Field(default=None, description="(width, rank) lowrank")
    basis_v: Matrix | None = Field(default=None, description="(width, rank) lowrank")
    offset: Vector | None = Field(default=None, description="(width,) full")


class HeadsReply(Envelope):
    """One context's head. docs/api.md says how scores are made of it."""

    user_id: str | None
    context: ContextUsed
    kind: HeadKind
    experts: list[str] = Field(description="In the order of the gains; the body is first.")
    item_ids: list[str] = Field(description="Candidates, in the order of the rows of expert_scores and vectors.")
    unknown_items: list[str] = Field(description="Candidates that the model does not know; they were left out.")
    tensors: HeadTensors


class SimilarItem(ReplyModel):
    """One neighbour."""

    item_id: str
    rank: int = Field(description="1 is most alike.")
    similarity: float = Field(description="Cosine, -1 to 1.")
    title: str | None


class SimilarReply(Envelope):
    """The items most like one, most alike first."""

    item_id: str
    title: str | None
    measure: str = Field(description="What similarity is.")
    items: list[SimilarItem]


class ItemReply(ReplyModel):
    """An item as every service of the workspace has it from its next request on; it is on the disk."""

    request_id: str
    model_version: str | None = Field(description="The model that answers; null when there is none yet.")
    feature_service: str
    degraded: Degraded | None
    item_id: str
    in_catalogue: bool
    available: bool
    scorable: bool = Field(description="The model knows it.")
    attributes: dict[str, str | float | list[str] | None]
    note: str | None = Field(description="Why it will not be recommended, where it will not.")


class HistoryEvent(ReplyModel):
    """A positive event."""

    item_id: str
    title: str | None
    occurred_at: str | None = Field(description="RFC 3339; null where the workspace has an order and no clock.")
    value: float


class Affinity(ReplyModel):
    """A category and its share in the history."""

    category: str
    share: float


class UserContextReply(Envelope):
    """A user's feature row as of now, every acknowledged event folded in."""

    user_id: str
    known: bool = Field(description="False also where `degraded` says that the store could not be read.")
    events: int = Field(description="Positive events in all.")
    log_sequence: int = Field(description="The newest event of the log that is in it; 0 for none.")
    first_event_at: str | None
    last_event_at: str | None
    events_last_7_days: int = Field(description="In the 7 days that end with the last one.")
    events_last_30_days: int
    history: list[HistoryEvent] = Field(description="The newest 200 positive events, oldest first.")
    seen_items: list[str] = Field(description="Every item ever touched, in order of first touch.")
    affinities: list[Affinity] = Field(description="The 20 largest categories of the history.")
    profile: dict[str, str | float | list[str] | None]


class DeletionReply(ReplyModel):
    """The user is gone: from the log, every stored row, profile and list of recommendations, down to the bytes."""

    request_id: str
    model_version: str | None = Field(description="The model that answers; null when there is none yet.")
    feature_service: str
    degraded: Degraded | None
    user_id: str
    events: int = Field(description="Events that went; 0 for a user whom nothing was known of.")
    log_sequence: int = Field(description="The log's position after the deletion.")
