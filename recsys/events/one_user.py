"""What `fold` makes of one user's events, without a frame: for reads that have to answer within milliseconds.

A frame of one user costs twenty times what is in it. `fold` defines what a row is; a property test holds both equal,
whatever the events and the schema.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from recsys import columns
from recsys.data.schema import EventMeaning, WorkspaceSchema
from recsys.events.derived import DAY, LOGARITHM_PARTS, MOST_AFFINITIES
from recsys.events.fold import HISTORY_LENGTH


@dataclass(frozen=True, slots=True)
class OwnEvent:
    """One event of the log, as far as the fold looks at it.

    Attributes:
        log_sequence: its place in the log.
        item_id: what was touched.
        occurred_at: microseconds since the epoch.
        event: its kind, if any.
        value: its value, if any; a float32.
        item_events_before: events of the item that the log held before.
    """

    log_sequence: int
    item_id: str
    occurred_at: int
    event: str | None
    value: float | None
    item_events_before: int


def fold_user(
    events: Sequence[OwnEvent], schema: WorkspaceSchema, categories: Mapping[str, Mapping[str, Sequence[str]]]
) -> dict[str, object]:
    """The columns of `fold` but user_id and effective_at, lists as tuples.

    Args:
        events: every event of one user, in any order; at least one.
        schema: the workspace's schema.
        categories: for each attribute what each item belongs to (`ItemCategories.by_item`).
    """
    ordered = sorted(events, key=lambda event: (event.occurred_at, event.log_sequence))
    counted, seen = _counted(ordered, schema)
    history = counted[-HISTORY_LENGTH:]
    names, weights = _affinities([event.item_id for event in history], categories)
    return {
        columns.HISTORY_ITEMS: tuple(event.item_id for event in history),
        columns.HISTORY_TIMES: tuple(event.occurred_at for event in history),
        columns.HISTORY_VALUES: tuple(_weight(event, schema.events) for event in history),
        columns.SEEN_ITEMS: tuple(seen),
        columns.SEEN_COUNTS: tuple(count for count, _ in seen.values()),
        columns.SEEN_LAST: tuple(last for _, last in seen.values()),
        columns.EVENT_COUNT: len(counted),
        columns.FIRST_EVENT_AT: counted[0].occurred_at if counted else 0,
        columns.LAST_EVENT_AT: counted[-1].occurred_at if counted else 0,
        columns.LOG_SEQUENCE: max(event.log_sequence for event in ordered),
        **_activity([event.occurred_at for event in counted], clock=schema.clock),
        **_popularity([event.item_events_before for event in history]),
        columns.AFFINITY_NAMES: names,
        columns.AFFINITY_WEIGHTS: weights,
    }


def _counted(ordered: Sequence[OwnEvent], schema: WorkspaceSchema) -> tuple[list[OwnEvent], dict[str, tuple[int, int]]]:
    """The positive events in order, and each item touched: how many of them it has, and when the last of them was."""
    counted: list[OwnEvent] = []
    seen: dict[str, tuple[int, int]] = {}
    for event in ordered:
        negative = _is_negative(event, schema.events)
        positive = not negative and (schema.events.positive is None or event.event in schema.events.positive)
        if not (positive or negative):
            continue
        number, last = seen.get(event.item_id, (0, 0))
        if positive and (schema.repeats or number == 0):
            counted.append(event)
            number, last = number + 1, event.occurred_at
        seen[event.item_id] = number, last
    return counted, seen


def _is_negative(event: OwnEvent, meaning: EventMeaning) -> bool:
    if event.event is not None and event.event in meaning.negative:
        return True
    if meaning.min_value is None or event.value is None:
        return False
    return bool(np.float32(event.value) < np.float32(meaning.min_value))


def _weight(event: OwnEvent, meaning: EventMeaning) -> float:
    value = 1.0 if event.value is None else event.value
    if meaning.weights:
        value *= 1.0 if event.event is None else meaning.weights.get(event.event, 1.0)
    return float(np.float32(value))


def _activity(times: Sequence[int], *, clock: bool) -> dict[str, object]:
    if not clock or not times:
        return dict.fromkeys(
            (columns.EVENTS_LAST_7_DAYS, columns.EVENTS_LAST_30_DAYS, columns.ACTIVE_DAYS, columns.MEAN_GAP), 0
        )
    return {
        columns.EVENTS_LAST_7_DAYS: sum(at > times[-1] - 7 * DAY for at in times),
        columns.EVENTS_LAST_30_DAYS: sum(at > times[-1] - 30 * DAY for at in times),
        columns.ACTIVE_DAYS: len({at // DAY for at in times}),
        columns.MEAN_GAP: (times[-1] - times[0]) // (len(times) - 1) if len(times) > 1 else 0,
    }


def _popularity(before: Sequence[int]) -> dict[str, object]:
    number = len(before)
    if not number:
        return dict.fromkeys((columns.POPULARITY_MEAN, columns.POPULARITY_SPREAD, columns.FIRST_SHARE), 0.0)
    parts = [round(math.log1p(own) * LOGARITHM_PARTS) for own in before]
    total = sum(parts)
    variance = number * sum(part * part for part in parts) - total * total
    return {
        columns.POPULARITY_MEAN: total / number / LOGARITHM_PARTS,
        columns.POPULARITY_SPREAD: math.sqrt(variance) / number / LOGARITHM_PARTS,
        columns.FIRST_SHARE: before.count(0) / number,
    }


def _affinities(
    history: Sequence[str], categories: Mapping[str, Mapping[str, Sequence[str]]]
) -> tuple[tuple[str, ...], tuple[float, ...]]:
    shares = []
    for attribute, members in categories.items():
        counts = Counter(itertools.chain.from_iterable(members.get(item_id, ()) for item_id in history))
        total = counts.total()
        shares += [(f"{attribute}={value}", count / total) for value, count in counts.items()]
    largest = sorted(shares, key=lambda share: (-share[1], share[0]))[:MOST_AFFINITIES]
    return tuple(name for name, _ in largest), tuple(float(np.float32(weight)) for _, weight in largest)
