"""What the service answers. Replies under /v1/ say which model and feature service made them and what they lack."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class ReplyModel(BaseModel):
    """What every part of a reply is."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Degraded(ReplyModel):
    """Why an answer is less than it could be."""

    reason: str = Field(description="A short name: unknown_user, empty_context, store_error, ….")
    detail: str = Field(description="The same in a sentence.")


class HistoryPart(ReplyModel):
    """A history item's part in a score."""

    item_id: str
    title: str | None
    contribution: float = Field(description="How far the score falls when this item is taken out of the history.")


class Explanation(ReplyModel):
    """Why an item scores as it does, computed from the model."""

    experts: dict[str, float] = Field(description="Each expert's share; they sum to the score.")
    history: list[HistoryPart] = Field(description="The history items that contributed most, largest first.")


class Envelope(ReplyModel):
    """What every answer of a model says."""

    request_id: str
    model_version: str
    feature_service: str
    degraded: Degraded | None


class RecommendedItem(ReplyModel):
    """One place of a ranking."""

    item_id: str
    rank: int = Field(description="1 is best.")
    score: float = Field(description="Comparable within one reply only.")
    title: str | None = Field(description="From the catalogue, where it has one.")
    explanation: Explanation | None = Field(default=None, description="Where `explain` asked for it.")


class ContextUsed(ReplyModel):
    """What the answer was computed from."""

    stored: bool = Field(description="The feature store knew the user.")
    events: int = Field(description="Positive events in the context, the inline ones included.")
    log_sequence: int = Field(description="The newest event of the log that took part; 0 for none.")


class Origin(ReplyModel):
    """Where the model that answered came from: with `model_version` and `feature_service` all that made the answer."""

    content_hash: str = Field(description="SHA-256 over the files that define the model.")
    data_fingerprint: str | None = Field(description="SHA-256 over everything that its training read.")
    log_position: int | None = Field(description="The newest event that its training saw.")
    code_commit: str | None = Field(description="The commit it was trained with; `unknown` outside a checkout.")


class RecommendationReply(ReplyModel):
    """The best items for a context, best first."""

    request_id: str
    model_version: str
    feature_service: str
    degraded: Degraded | None
    arm: Literal["champion", "challenger"] | None = Field(
        description="Which part of an experiment the user is in; null when there is none. `model_version` says who "
        "answered: where a challenger fails, the champion."
    )
    origin: Origin
    user_id: str | None
    context: ContextUsed
    items: list[RecommendedItem]
    ignored_items: list[str] = Field(description="Inline history items that the model does not know.")
    shortfall: str | None = Field(description="Why there are fewer than k items; null when there are k.")


class EventsReply(ReplyModel):
    """The events are on the disk: a crash after this reply loses none of them."""

    request_id: str
    model_version: str | None = Field(description="The model that will read them; null when there is none yet.")
    feature_service: str
    degraded: Degraded | None
    accepted: int
    duplicates: int = Field(description="Events whose event_id the log already held; nothing changed for them.")
    conflicts: int = Field(
        description="How many of those duplicates say something else under the same event_id: the first event stays."
    )
    withheld: int = Field(description="Events that happened before their user was deleted; they were left out.")
    log_sequence: int = Field(description="The log's sequence after them.")
    event_ids: list[str] = Field(description="One an event, in the order sent.")
    unknown_items: list[str] = Field(description="Items that the model cannot score yet; their events are kept.")


class Handled(ReplyModel):
    """Work beside the replies since the service was started."""

    done: int
    dropped: int = Field(description="There was too much of it, or it failed; the service's log says which.")


class ExperimentState(ReplyModel):
    """What is tried and recorded beside the champion's answers."""

    challenger_version: str | None = Field(description="Null when the registry names none, or it cannot be loaded.")
    split: float = Field(description="The share of the users who get the challenger's answers while there is one.")
    substitutions: int = Field(description="How often the champion answered in place of a challenger that failed.")
    impressions: Handled | None = Field(description="What was shown, written down; null when that is off.")
    shadow: float = Field(description="The share of the requests that the challenger scores beside the replies.")
    shadow_scores: Handled | None = Field(description="Requests that it scored; null when that is off.")


class ModelReply(ReplyModel):
    """The model that answers now."""

    request_id: str
    model_version: str
    feature_service: str
    degraded: Degraded | None
    workspace: str
    content_hash: str
    catalogue_size: int
    items_repeat: bool
    metrics: dict[str, Any]
    lineage: dict[str, Any]
    context_faults: dict[str, int] = Field(
        description="What contexts held that had to be treated before they were scored, since this model was loaded."
    )
    experiment: ExperimentState


class Health(ReplyModel):
    """The process is alive."""

    status: str
    request_id: str


class Readiness(ReplyModel):
    """A model is loaded and warm."""

    status: str
    request_id: str
    model_version: str
    feature_service: str
