"""What travels: a user's feature row as the feature store holds it, and the tensors the model sees."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise

import torch
from torch import Tensor

from recsys.context.reasons import Reason

_UNCOUNTED = torch.zeros(0, dtype=torch.int64)


@dataclass(frozen=True, slots=True)
class FeatureRow:
    """All that is known of one user as of a moment, in the user's own ids. Made by the fold, read through Feast.

    The model reads history, seen items, counts and profile. Activity, popularity and affinities are for people, rules
    and drift reports; they speak of what is stored, not of a request's inline events.

    Attributes:
        user_id: None for an inline context (a visitor without an account).
        history_items: last 200 positive events' item ids, oldest first.
        history_times: their times, int64 microseconds since the epoch, UTC.
        history_values: their weights.
        seen_items: every item the user ever touched (positive or negative), in order of first touch.
        seen_counts: positive events of each seen item; empty where nobody counted.
        seen_last: time of the last of them, microseconds, 0 where there is none; empty where nobody counted.
        event_count: positive events in all.
        first_event_at: microseconds; 0 when there is no event.
        last_event_at: microseconds; 0 when there is no event.
        log_sequence: sequence of the newest event folded in; 0 when there is none.
        present: False for a user the feature store has no row of.
        events_last_7_days: positive events in the 7 days that end with the last one; 0 without a clock.
        events_last_30_days: the same of 30 days.
        active_days: different UTC days with a positive event; 0 without a clock.
        mean_gap: mean microseconds between two positive events; 0 for fewer than two, or without a clock.
        popularity_mean: mean over the history of log(1 + events of the item that the log held before the event).
        popularity_spread: the standard deviation of the same.
        first_share: share of the history's events that were their item's first.
        affinity_names: categories of the history's items, such as "genres=Comedy": the 20 largest, largest first.
        affinity_weights: the share of each in all that the history holds of its attribute.
        profile: the typed profile columns of the workspace's schema; a missing value is None.
        inline: it holds what only this request knows, and nobody may keep.
        stamp: within this process two rows of one stamp have the same content; None: nobody compared them.
        degraded: why this row is a fallback (`unknown_user`, `store_timeout`, …), None when it is not.
    """

    user_id: str | None
    history_items: tuple[str, ...] = ()
    history_times: tuple[int, ...] = ()
    history_values: tuple[float, ...] = ()
    seen_items: tuple[str, ...] = ()
    seen_counts: tuple[int, ...] = ()
    seen_last: tuple[int, ...] = ()
    event_count: int = 0
    first_event_at: int = 0
    last_event_at: int = 0
    log_sequence: int = 0
    present: bool = False
    events_last_7_days: int = 0
    events_last_30_days: int = 0
    active_days: int = 0
    mean_gap: int = 0
    popularity_mean: float = 0.0
    popularity_spread: float = 0.0
    first_share: float = 0.0
    affinity_names: tuple[str, ...] = ()
    affinity_weights: tuple[float, ...] = ()
    profile: Mapping[str, object] = field(default_factory=dict)
    inline: bool = False
    stamp: int | None = field(default=None, compare=False, repr=False)
    degraded: Reason | None = None


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
        seen_counts: (total,) int64 positive events of each item in `seen`; zeros where nobody counted.
        seen_last: (total,) int64 microseconds, when the last of them was; zeros likewise.
    """

    history: Tensor
    times: Tensor
    values: Tensor
    seen: Tensor
    seen_offsets: Tensor
    profile: Tensor
    event_count: Tensor
    moment: Tensor
    seen_counts: Tensor = _UNCOUNTED
    seen_last: Tensor = _UNCOUNTED

    def __post_init__(self) -> None:
        for name in ("seen_counts", "seen_last"):
            given = getattr(self, name)
            if given is _UNCOUNTED:
                object.__setattr__(self, name, torch.zeros_like(self.seen))
            elif given.shape != self.seen.shape:
                raise ValueError(f"{name} has shape {tuple(given.shape)}, seen has {tuple(self.seen.shape)}")

    def __len__(self) -> int:
        return self.history.shape[0]

    def trimmed(self) -> ContextBatch:
        """The same contexts without the leading places that no history reaches: what reads them finds the same."""
        reached = (self.history > 0).any(0).nonzero()
        start = int(reached[0]) if len(reached) else self.history.shape[1] - 1
        kept = {name: getattr(self, name)[:, start:].clone() for name in ("history", "times", "values")}
        return replace(self, **kept)

    def one_by_one(self) -> Iterator[ContextBatch]:
        """Each context as a batch of one."""
        for place, (start, end) in enumerate(pairwise(self.seen_offsets.tolist())):
            own, seen = slice(place, place + 1), slice(start, end)
            yield ContextBatch(
                history=self.history[own],
                times=self.times[own],
                values=self.values[own],
                seen=self.seen[seen],
                seen_offsets=torch.tensor([0, end - start]),
                profile=self.profile[own],
                event_count=self.event_count[own],
                moment=self.moment[own],
                seen_counts=self.seen_counts[seen],
                seen_last=self.seen_last[seen],
            )

    def tensors(self) -> tuple[Tensor, ...]:
        """All of them, in the order of the attributes."""
        return tuple(getattr(self, name) for name in self.__dataclass_fields__)

    @property
    def any_known(self) -> Tensor:
        """(batch,) bool: whether the history holds an event of an item that the model knows."""
        return (self.history > 0).any(1)
