"""What travels: a user's feature row as the feature store holds it, and the tensors the model sees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True, slots=True)
class FeatureRow:
    """All that is known of one user as of a moment, in the user's own ids. Made by the fold, read through Feast.

    Attributes:
        user_id: None for an inline context (a visitor without an account).
        history_items: last 200 positive events' item ids, oldest first.
        history_times: their times, int64 microseconds since the epoch, UTC.
        history_values: their weights.
        seen_items: every item the user ever touched (positive or negative), in order of first touch.
        event_count: positive events in all.
        first_event_at: microseconds; 0 when there is no event.
        last_event_at: microseconds; 0 when there is no event.
        log_sequence: sequence of the newest event folded in; 0 when there is none.
        present: False for a user the feature store has no row of.
        profile: the typed profile columns of the workspace's schema; a missing value is None.
        degraded: why this row is a fallback (`unknown_user`, `store_timeout`, …), None when it is not.
    """

    user_id: str | None
    history_items: tuple[str, ...] = ()
    history_times: tuple[int, ...] = ()
    history_values: tuple[float, ...] = ()
    seen_items: tuple[str, ...] = ()
    event_count: int = 0
    first_event_at: int = 0
    last_event_at: int = 0
    log_sequence: int = 0
    present: bool = False
    profile: Mapping[str, object] = field(default_factory=dict)
    degraded: str | None = None


@dataclass(frozen=True, slots=True)
class ContextBatch:
    """A batch of contexts as tensors. Item index 0 is padding; items are 1..n_items in the snapshot's vocabulary.

    Attributes:
        history: (batch, length) int64 item index, oldest first, right-aligned: padding comes before the events.
        times: (batch, length) int64 microseconds, 0 where padded.
        values: (batch, length) float32 event weight, 0 where padded.
        seen: (total,) int64 item indices of every user's seen items, user after user.
        seen_offsets: (batch + 1,) int64; user b's seen items are seen[seen_offsets[b]:seen_offsets[b + 1]].
        profile: (batch, profile_width) float32.
        event_count: (batch,) float32 positive events in all.
        moment: (batch,) int64 microseconds: when the recommendation is asked for; 0 where unknown or clockless.
    """

    history: Tensor
    times: Tensor
    values: Tensor
    seen: Tensor
    seen_offsets: Tensor
    profile: Tensor
    event_count: Tensor
    moment: Tensor

    def __len__(self) -> int:
        return self.history.shape[0]
