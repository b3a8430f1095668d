"""Feature rows on their way into Feast's stores, of users and of items alike: stamped, and written online.

It knows Feast's two timestamps and nothing of what a row holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import polars as pl

from recsys import columns
from recsys.context.fencing import writer_token
from recsys.failpoints import Failpoint, reached

if TYPE_CHECKING:
    from feast import FeatureStore

ROWS_A_WRITE = 1_000
TIMESTAMP = pl.Datetime("us", "UTC")


def write_online(store: FeatureStore, rows: pl.DataFrame, views: Sequence[str], token: int) -> None:
    """Writes rows, `log_position` among their columns, into views by name: for users' and items' rows alike.

    Raises:
        LeaseError: the lease is lost.
    """
    versioned = rows.with_columns(folded_at().alias(columns.EVENT_TIMESTAMP), folded_at())
    filled = versioned.with_columns(pl.col(pl.List(pl.String)).fill_null([]))
    with writer_token(token):
        for slice_ in filled.iter_slices(ROWS_A_WRITE):
            frame = slice_.to_pandas()
            for view in views:
                store.write_to_online_store(view, frame)
                reached(Failpoint.FOLD_VIEW_WRITTEN)


def folded_at() -> pl.Expr:
    """When a row was folded, on a clock that counts log positions: strictly later for each later position."""
    return pl.col(columns.LOG_POSITION).cast(TIMESTAMP).alias(columns.CREATED_TIMESTAMP)


def stamped(rows: pl.DataFrame) -> pl.DataFrame:
    """Offline rows with Feast's two timestamps for `effective_at`: since when they hold, and when they were folded."""
    effective = pl.col(columns.EFFECTIVE_AT).cast(TIMESTAMP).alias(columns.EVENT_TIMESTAMP)
    return rows.with_columns(effective, folded_at()).drop(columns.EFFECTIVE_AT)
