"""For whom the model is good: the same figures by length of history and by the profile's categories."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from recsys.context.batch import FeatureRow
from recsys.context.profile_values import typed_profile
from recsys.data.schema import ColumnType
from recsys.evaluation.comparisons import margin
from recsys.evaluation.full_ranking import MODEL, SHARED_BLEND
from recsys.evaluation.measurement import Measured

HISTORY = "positive events known"
SMALLEST_GROUP = 30
"""A profile value of fewer evaluated users is counted with the others: its mean would be noise."""
OTHER, UNKNOWN = "other", "not known"
_UPPER_ENDS = (0, 2, 5, 10, 20, 50, 100, 200)


def group_section(
    measured: Measured,
    rows: Sequence[FeatureRow],
    user_columns: Mapping[str, ColumnType],
    best_baseline: str | None,
) -> list[dict[str, Any]]:
    """Figures by group: length of history first, then each categorical profile column that has a group of its own.

    Args:
        measured: all scorers' results.
        rows: the evaluated users' contexts, in the order of `measured`.
        user_columns: the workspace's profile columns and their types.
        best_baseline: shown beside the model and the shared blend, None where there is none.
    """
    scorers = [*([best_baseline] if best_baseline else []), SHARED_BLEND, MODEL]
    history = history_buckets(np.array([row.event_count for row in rows], dtype=np.int64))
    categorical = {name: kind for name, kind in user_columns.items() if kind == "categorical"}
    profiles = [typed_profile(row.profile, categorical) for row in rows]
    groupings = [(HISTORY, history)]
    groupings += [(column, profile_groups([profile[column] for profile in profiles])) for column in categorical]
    return [
        {"by": name, "groups": _figures(measured, labels, scorers)}
        for name, labels in groupings
        if name == HISTORY or set(labels) - {OTHER, UNKNOWN}
    ]


def history_buckets(event_counts: np.ndarray) -> list[str]:
    """Each user's bucket by known positive events; the same buckets for every data set, so that reports compare."""
    lower = (0, *(end + 1 for end in _UPPER_ENDS))
    names = [str(end) if end == start else f"{start}–{end}" for start, end in zip(lower, _UPPER_ENDS, strict=False)]
    names.append(f"more than {_UPPER_ENDS[-1]}")
    return [names[bucket] for bucket in np.searchsorted(_UPPER_ENDS, event_counts, side="left")]


def profile_groups(values: Sequence[object], smallest: int = SMALLEST_GROUP) -> list[str]:
    """Each user's value where enough users share it, else `other`, or `not known` where there is none."""
    counts = Counter(values)
    return [UNKNOWN if value is None else str(value) if counts[value] >= smallest else OTHER for value in values]


def _figures(measured: Measured, labels: Sequence[str], scorers: Sequence[str]) -> list[dict[str, Any]]:
    member = np.array(labels, dtype=object)
    gains = {name: measured.figures[name]["ndcg@10"] for name in scorers}
    hits = {name: measured.figures[name]["hr@10"] for name in scorers}
    found = []
    for label in sorted(set(labels), key=_place):
        inside = member == label
        ahead = (gains[MODEL] - gains[SHARED_BLEND])[inside]
        found.append(
            {
                "group": label,
                "users": int(inside.sum()),
                "ndcg@10": {name: float(gains[name][inside].mean()) for name in scorers},
                "ndcg@10_margin": {name: margin(gains[name][inside]) for name in scorers},
                "hr@10": {name: float(hits[name][inside].mean()) for name in scorers},
                "ahead_of_blend": float(ahead.mean()),
                "ahead_of_blend_margin": margin(ahead),
            }
        )
    return found


def _place(label: str) -> tuple[bool, float, str]:
    """Numbers and ranges in order, then names, the rest last."""
    digits = label.removeprefix("more than ").split("–")[0]
    number = float(digits) + 0.5 * label.startswith("more") if digits.isdigit() else np.inf
    return label in (OTHER, UNKNOWN), number, label
