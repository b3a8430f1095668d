"""Features of a user that are made of the history: activity, popularity profile, category affinities.

All are pure functions of the user's own slice of the log, in whole numbers until the last division, so that no order
of summation shows in the last bit. What a model reads is in the history; these serve analysts, drift reports, rules.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from recsys.columns import (
    ACTIVE_DAYS,
    AFFINITY_NAMES,
    AFFINITY_WEIGHTS,
    EVENTS_LAST_7_DAYS,
    EVENTS_LAST_30_DAYS,
    FIRST_SHARE,
    HISTORY_ITEMS,
    MEAN_GAP,
    POPULARITY_MEAN,
    POPULARITY_SPREAD,
    USER_ID,
)
from recsys.data.categories import ItemCategories

DERIVED_COLUMNS: Mapping[str, pl.DataType] = {
    EVENTS_LAST_7_DAYS: pl.Int64(),
    EVENTS_LAST_30_DAYS: pl.Int64(),
    ACTIVE_DAYS: pl.Int64(),
    MEAN_GAP: pl.Int64(),
    POPULARITY_MEAN: pl.Float64(),
    POPULARITY_SPREAD: pl.Float64(),
    FIRST_SHARE: pl.Float64(),
    AFFINITY_NAMES: pl.List(pl.String()),
    AFFINITY_WEIGHTS: pl.List(pl.Float32()),
}
MOST_AFFINITIES = 20

DAY = 86_400_000_000
LOGARITHM_PARTS = 65_536
"""Logarithms are counted in these parts, as whole numbers; 200 squares of them stay far below 2**63."""
_NAME, _WEIGHT = "name", "weight"


def activity(times: pl.Expr, *, clock: bool) -> list[pl.Expr]:
    """Aggregations over the times of a user's positive events, ascending.

    Events in the 7 and 30 days that end with the last event, which is among them; different UTC days with an event;
    mean microseconds between two events, rounded down, 0 for fewer than two. All 0 without a clock.
    """
    zero = pl.lit(0, dtype=pl.Int64)
    if not clock:
        return [zero.first().alias(name) for name in (EVENTS_LAST_7_DAYS, EVENTS_LAST_30_DAYS, ACTIVE_DAYS, MEAN_GAP)]
    gap = pl.when(times.len() > 1).then((times.last() - times.first()) // (times.len().cast(pl.Int64) - 1))
    return [
        *(
            (times > times.last() - days * DAY).sum().cast(pl.Int64).alias(name)
            for name, days in ((EVENTS_LAST_7_DAYS, 7), (EVENTS_LAST_30_DAYS, 30))
        ),
        (times // DAY).n_unique().cast(pl.Int64).alias(ACTIVE_DAYS),
        gap.otherwise(0).fill_null(0).alias(MEAN_GAP),
    ]


def popularity(before: pl.Expr) -> list[pl.Expr]:
    """Aggregations over `item_events_before` of the events in a history.

    Mean and standard deviation of log(1 + events of the item that the log held before), and the share of events that
    were their item's first; all 0 without events.
    """
    parts = ((before.cast(pl.Float64).log1p()) * LOGARITHM_PARTS).round().cast(pl.Int64)
    number = before.len().cast(pl.Int64)
    variance = number * (parts * parts).sum() - parts.sum() * parts.sum()
    found = {
        POPULARITY_MEAN: parts.sum() / number / LOGARITHM_PARTS,
        POPULARITY_SPREAD: variance.cast(pl.Float64).sqrt() / number / LOGARITHM_PARTS,
        FIRST_SHARE: (before == 0).sum().cast(pl.Int64) / number,
    }
    return [pl.when(number > 0).then(own).otherwise(0.0).alias(name) for name, own in found.items()]


def with_affinities(rows: pl.DataFrame, categories: ItemCategories) -> pl.DataFrame:
    """Adds the categories that a user's history is made of.

    Args:
        rows: user_id and history_items, one row a user.
        categories: of the items.

    Returns:
        The rows with two aligned lists: names such as "genres=Comedy", and the share of each in all that the history
        holds of its attribute. The 20 largest, by share, then name; the shares of one attribute sum to 1 before the
        rest is cut off.
    """
    events = rows.select(USER_ID, HISTORY_ITEMS).explode(HISTORY_ITEMS).drop_nulls(HISTORY_ITEMS)
    belongs = categories.of_items(events[HISTORY_ITEMS])
    shares = [_shares(events[USER_ID], name, belongs[name]) for name in categories.attributes]
    lists = (AFFINITY_NAMES, AFFINITY_WEIGHTS)
    if not shares:
        return rows.with_columns(_nothing(name).alias(name) for name in lists)
    largest = (
        pl.concat(shares)
        .sort([USER_ID, _WEIGHT, _NAME], descending=[False, True, False])
        .group_by(USER_ID, maintain_order=True)
        .agg(
            pl.col(_NAME).head(MOST_AFFINITIES).alias(AFFINITY_NAMES),
            pl.col(_WEIGHT).head(MOST_AFFINITIES).cast(pl.Float32).alias(AFFINITY_WEIGHTS),
        )
    )
    joined = rows.join(largest, on=USER_ID, how="left", maintain_order="left")
    return joined.with_columns(pl.col(name).fill_null(_nothing(name)) for name in lists)


def _shares(user_ids: pl.Series, attribute: str, values: pl.Series) -> pl.DataFrame:
    counted = (
        pl.DataFrame({USER_ID: user_ids, _NAME: values})
        .explode(_NAME)
        .drop_nulls(_NAME)
        .group_by(USER_ID, _NAME)
        .agg(pl.len().cast(pl.Int64).alias(_WEIGHT))
    )
    return counted.select(
        USER_ID,
        (pl.lit(f"{attribute}=") + pl.col(_NAME)).alias(_NAME),
        pl.col(_WEIGHT) / pl.col(_WEIGHT).sum().over(USER_ID),
    )


def _nothing(name: str) -> pl.Expr:
    return pl.lit([], dtype=DERIVED_COLUMNS[name])
