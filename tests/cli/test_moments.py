"""Moments on the command line: UTC unless they name a zone, and what is no moment is told."""

import pytest

from recsys.cli._moments import typed_moment
from recsys.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "microseconds"),
    [
        ("1970-01-01", 0),
        ("1970-01-01T00:00:01", 1_000_000),
        ("1970-01-01T00:00:00.000001Z", 1),
        ("1970-01-01T02:00:00+02:00", 0),
        ("1969-12-31T23:59:59.999999Z", -1),
    ],
)
def test_a_moment_is_utc_unless_it_names_a_zone(text, microseconds):
    assert typed_moment("--as-of", text) == microseconds


@pytest.mark.parametrize(
    "text", ["", "yesterday", "1998-13-01", "0001-01-01T00:00:00+23:00", "9999-12-31T23:59:59-23:00"]
)
def test_what_is_no_moment_is_told_with_an_example(text):
    with pytest.raises(ConfigError, match="--as-of .*is no moment; write it like 1998"):
        typed_moment("--as-of", text)
