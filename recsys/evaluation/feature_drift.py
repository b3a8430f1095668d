"""Contexts of now beside those of training, feature by feature. It knows rows, not where they come from."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import polars as pl

from recsys.context.batch import FeatureRow
from recsys.data.schema import WorkspaceSchema
from recsys.metrics.drift import categorical_stability, kolmogorov_smirnov, numeric_stability

UNKNOWN_ITEMS = "unknown_item_rate"
MODERATE, LARGE = 0.1, 0.25

_HOUR, _DAY = 3_600_000_000, 86_400_000_000


@dataclass(frozen=True, slots=True)
class FeatureDrift:
    """One feature in two samples of contexts.

    Attributes:
        name: of the feature.
        kind: numeric or categorical.
        psi: population stability index.
        ks: Kolmogorov-Smirnov distance; None for a categorical feature.
        p_value: of the distance.
        missing_then: share of training contexts without a value.
        missing_now: share of present ones.
        mean_then: mean in training; None for a categorical feature or without values.
        mean_now: mean at present.
    """

    name: str
    kind: str
    psi: float
    ks: float | None
    p_value: float | None
    missing_then: float
    missing_now: float
    mean_then: float | None
    mean_now: float | None

    @property
    def verdict(self) -> str:
        return "stable" if self.psi < MODERATE else "moderate" if self.psi < LARGE else "large"

    def as_dict(self) -> dict[str, object]:
        """Plain values."""
        return {**asdict(self), "verdict": self.verdict}


def feature_frame(rows: Sequence[FeatureRow], vocabulary: Collection[str], schema: WorkspaceSchema) -> pl.DataFrame:
    """One number or category a feature and context; null where it has no value.

    Lists count by their length, the strongest affinity by its name. Hour and gaps need a clock.

    Args:
        rows: contexts.
        vocabulary: items that the model knows.
        schema: says which profile columns there are.
    """
    plain = pl.DataFrame(
        {
            "event_count": [float(row.event_count) for row in rows],
            "history_length": [float(len(row.history_items)) for row in rows],
            "seen_items": [float(len(row.seen_items)) for row in rows],
            "value_mean": [_mean(row.history_values) for row in rows],
            "popularity_mean": [row.popularity_mean if row.history_items else None for row in rows],
            "popularity_spread": [row.popularity_spread if row.history_items else None for row in rows],
            "first_share": [row.first_share if row.history_items else None for row in rows],
            UNKNOWN_ITEMS: [_mean([item not in vocabulary for item in row.history_items]) for row in rows],
            "strongest_affinity": [row.affinity_names[0] if row.affinity_names else None for row in rows],
            **(_clock_features(rows) if schema.clock else {}),
        },
        infer_schema_length=None,
    )
    profiles = {
        f"profile {name}": [_profile_value(row.profile.get(name), kind) for row in rows]
        for name, kind in schema.user_columns.items()
    }
    types = {f"profile {n}": pl.String if k == "categorical" else pl.Float64 for n, k in schema.user_columns.items()}
    return plain.with_columns(pl.Series(name, values, dtype=types[name]) for name, values in profiles.items())


def compare(then: pl.DataFrame, now: pl.DataFrame) -> list[FeatureDrift]:
    """Every feature of two frames with equal columns, the one that moved most first."""
    found = [_compared(name, then[name], now[name]) for name in then.columns]
    return sorted(found, key=lambda drift: -drift.psi)


def _compared(name: str, then: pl.Series, now: pl.Series) -> FeatureDrift:
    missing = (float(then.null_count() / max(len(then), 1)), float(now.null_count() / max(len(now), 1)))
    if pl.String in (then.dtype, now.dtype):
        psi = categorical_stability(then.to_list(), now.to_list())
        return FeatureDrift(name, "categorical", psi, None, None, missing[0], missing[1], None, None)
    arrays = [values.cast(pl.Float64).fill_null(float("nan")).to_numpy() for values in (then, now)]
    means = [float(np.nanmean(values)) if (~np.isnan(values)).any() else None for values in arrays]
    distance, p_value = kolmogorov_smirnov(arrays[0], arrays[1])
    psi = numeric_stability(arrays[0], arrays[1])
    return FeatureDrift(name, "numeric", psi, distance, p_value, missing[0], missing[1], means[0], means[1])


def _clock_features(rows: Sequence[FeatureRow]) -> Mapping[str, list[float | None]]:
    return {
        "events_last_7_days": [float(row.events_last_7_days) for row in rows],
        "events_last_30_days": [float(row.events_last_30_days) for row in rows],
        "active_days": [float(row.active_days) for row in rows],
        "mean_gap_days": [row.mean_gap / _DAY if row.event_count > 1 else None for row in rows],
        "hour_of_last_event": [float(row.last_event_at // _HOUR % 24) if row.event_count else None for row in rows],
    }


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _profile_value(value: object, kind: str) -> str | float | None:
    if value is None:
        return None
    if kind == "categorical":
        return str(value)
    return float(value) if isinstance(value, int | float) else float(len(value))  # type: ignore[arg-type]
