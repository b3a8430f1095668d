"""Conditions on item columns mean what they say, and what does not fit the schema is refused with the part at fault."""

import polars as pl
import pytest

from recsys.data.conditions import Condition, ConditionError, all_of
from recsys.data.schema import WorkspaceSchema

SCHEMA = WorkspaceSchema(
    name="films",
    item_columns={"title": "text", "year": "numeric", "genres": "list", "studio": "categorical"},
    title="title",
)
FILMS = pl.DataFrame(
    {
        "item_id": ["1", "2", "3", "4"],
        "title": ["Alien (1979)", "Brazil", None, "a.*b"],
        "year": [1979.0, 1985.0, 1990.0, None],
        "genres": [["Horror", "Sci-Fi"], ["Comedy"], None, []],
        "studio": ["Fox", None, "Ufa", "Fox"],
    },
    schema=SCHEMA.items_frame_schema(),
)


def met(*conditions):
    own = [Condition(column, op, value) for column, op, value in conditions]
    return "".join(FILMS.filter(all_of(own, SCHEMA))["item_id"])


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (("year", "=", 1985), "2"),
        (("year", "!=", 1985), "13"),
        (("year", "<", 1985), "1"),
        (("year", "<=", 1985.0), "12"),
        (("year", ">", 1985), "3"),
        (("year", ">=", 1985), "23"),
        (("year", "in", (1979, 1990.0)), "13"),
        (("year", "not in", (1979, 1990)), "2"),
        (("year", "in", ()), ""),
        (("studio", "=", "Fox"), "14"),
        (("studio", "!=", "Fox"), "3"),
        (("studio", "in", ("Fox", "Ufa")), "134"),
        (("studio", "not in", ("Fox",)), "3"),
        (("genres", "contains", "Horror"), "1"),
        (("genres", "contains", "horror"), ""),
        (("genres", "lacks", "Horror"), "24"),
        (("title", "contains", "BRA"), "2"),
        (("title", "contains", ".*"), "4"),
        (("title", "contains", "(1979"), "1"),
        (("title", "lacks", "alien"), "24"),
        (("title", "=", "Brazil"), "2"),
    ],
)
def test_what_an_operator_means(condition, expected):
    assert met(condition) == expected


def test_all_conditions_have_to_be_met_and_none_is_met_by_everything():
    assert met(("year", ">=", 1980), ("studio", "=", "Ufa")) == "3"
    assert met(("year", ">", 1985), ("year", "<", 1985)) == ""
    assert met() == "1234"


@pytest.mark.parametrize(
    ("condition", "part"),
    [
        (("director", "=", "x"), "column"),
        (("item_id", "=", "1"), "column"),
        (("year", "contains", 1990), "op"),
        (("genres", "=", "Horror"), "op"),
        (("studio", "<", "Fox"), "op"),
        (("year", "=", "1985"), "value"),
        (("year", "=", (1985,)), "value"),
        (("year", "in", 1985), "value"),
        (("year", "=", 10**400), "value"),
        (("studio", "=", 5), "value"),
        (("studio", "in", ("Fox", 5)), "value"),
    ],
)
def test_what_does_not_fit_the_schema_is_refused_with_the_part_at_fault(condition, part):
    with pytest.raises(ConditionError) as refused:
        met(condition)
    assert refused.value.part == part
