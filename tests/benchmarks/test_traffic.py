"""Replies under flips are held to the version that they name: items, their order, and scores but for rounding."""

from __future__ import annotations

import pytest

from benchmarks.registry.traffic import same

EXPECTED = (("a", 8.212007), ("b", -3.582331))


@pytest.mark.parametrize(
    ("given", "is_same"),
    [
        (EXPECTED, True),
        ((("a", 8.212008), ("b", -3.58233)), True),
        ((("a", 8.2122), ("b", -3.582331)), False),
        ((("b", -3.582331), ("a", 8.212007)), False),
        ((("a", 8.212007), ("c", -3.582331)), False),
        (EXPECTED[:1], False),
        ((), False),
    ],
)
def test_an_answer_is_a_versions_own_in_items_order_and_scores(given, is_same):
    assert same(given, EXPECTED) is is_same
