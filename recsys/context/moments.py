"""What is done with a row whose events cannot have happened when they say: in the future, or before 1970."""

from __future__ import annotations

from dataclasses import replace

from recsys.context.batch import FeatureRow
from recsys.context.reasons import BEFORE_1970, FUTURE_EVENT

CLOCK_SKEW = 300_000_000
"""How far another clock may be ahead of ours, microseconds: what lies beyond is the future, online and in a batch."""


def believable(row: FeatureRow, latest: int) -> FeatureRow:
    """The row without what lies in the future.

    Events after `latest` leave the history; their items stay seen, as of `latest`. Events at or before 1970 stay: the
    encoder gives them the oldest believable time.

    Args:
        row: a stored row, of a workspace with a clock.
        latest: the latest believable moment, microseconds.

    Returns:
        The row as it is where all times can be believed, otherwise a fallback, degraded `future_event` or
        `event_before_1970`.
    """
    times = row.history_times
    if max(row.last_event_at, max(times, default=0), max(row.seen_last, default=0)) <= latest:
        early = min(times, default=1) <= 0
        return replace(row, degraded=BEFORE_1970) if early else row
    history = zip(row.history_items, row.history_times, row.history_values, strict=True)
    kept = [(item, at, value) for item, at, value in history if at <= latest]
    return replace(
        row,
        history_items=tuple(item for item, _, _ in kept),
        history_times=tuple(at for _, at, _ in kept),
        history_values=tuple(value for _, _, value in kept),
        seen_last=tuple(min(at, latest) for at in row.seen_last),
        event_count=row.event_count - (len(row.history_items) - len(kept)),
        first_event_at=min(row.first_event_at, latest),
        last_event_at=max((at for _, at, _ in kept), default=0),
        stamp=None,
        degraded=FUTURE_EVENT,
    )
