"""Two rankings agree by what they hold, and by the order of what both hold."""

import pytest

from recsys.metrics.agreement import overlap, rank_correlation


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("abc", "abc", 1.0),
        ("abc", "cba", 1.0),
        ("abcd", "cdef", 0.5),
        ("ab", "xy", 0.0),
        ("", "", 1.0),
        ("abcd", "a", 0.25),
    ],
)
def test_the_overlap_is_the_share_of_common_items_whatever_their_order(one, other, expected):
    assert overlap(one, other) == overlap(other, one) == expected


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [("abc", "abc", 1.0), ("abc", "cba", -1.0), ("abcx", "yabc", 1.0), ("abc", "acb", 1 / 3), ("ab", "bx", None)],
)
def test_the_correlation_is_of_the_order_of_common_items(one, other, expected):
    assert rank_correlation(one, other) == (None if expected is None else pytest.approx(expected))
