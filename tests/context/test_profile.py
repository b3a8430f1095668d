"""Profile columns: one form for values from anywhere, one fixed-width vector, the same after a JSON round trip."""

import json
import sys

import numpy as np
import pytest

from recsys.context.profile import ProfileEncoding
from recsys.context.profile_values import typed_profile
from recsys.errors import ConfigError, DataError

COLUMNS = {"gender": "categorical", "age": "numeric", "genres": "list", "about": "text"}
USERS = [
    {"gender": "F", "age": 20, "genres": ["drama", "crime"], "about": "likes cats"},
    {"gender": "F", "age": 40.0, "genres": ["drama"], "about": ""},
    {"gender": "M", "age": None, "genres": [], "about": None},
    {"gender": "M", "age": float("nan"), "genres": None, "about": "x"},
    {"gender": "rare", "age": 30, "genres": ["drama", "rare"], "about": "x"},
]


def fitted() -> ProfileEncoding:
    return ProfileEncoding.fit(USERS, COLUMNS, min_count=2)


def test_every_way_of_saying_nothing_becomes_none():
    empty = {"gender": "", "age": float("nan"), "genres": [], "about": ""}
    assert typed_profile(empty, COLUMNS) == typed_profile({}, COLUMNS) == dict.fromkeys(COLUMNS)


def test_values_take_the_type_of_their_column_and_other_columns_are_dropped():
    raw = {"gender": 3, "age": "21", "genres": "drama", "about": "hello", "shoe_size": 44}
    assert typed_profile(raw, COLUMNS) == {"gender": "3", "age": 21.0, "genres": ("drama",), "about": "hello"}


def test_a_word_in_a_numeric_column_is_refused_by_name():
    with pytest.raises(DataError, match="'age'.*'old'"):
        typed_profile({"age": "old"}, COLUMNS)


def test_slots_are_frequent_categories_then_other_the_number_then_missing_and_members():
    encoding = fitted()
    assert [column.categories for column in encoding.columns] == [("F", "M"), (), ("drama",)]
    assert encoding.width == 3 + 2 + 2
    vectors = encoding.encode(USERS)
    assert vectors[:, :3].tolist() == [[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 0, 1]]
    assert vectors[:, 4].tolist() == [0, 0, 1, 1, 0]
    assert vectors[:3, 3] == pytest.approx([-(1.5**0.5), 1.5**0.5, 0.0])
    assert vectors[:, 5:].tolist() == [[1, 1], [1, 0], [0, 1], [0, 1], [1, 1]]


def test_an_unknown_visitor_is_missing_everywhere():
    assert fitted().encode([{}]).tolist() == [[0, 0, 1, 0, 1, 0, 1]]


def test_an_absurd_number_is_clipped():
    assert fitted().encode([{"age": 1e30}])[0, 3] == 8.0
    assert fitted().encode([{"age": -sys.float_info.max}])[0, 3] == -8.0


@pytest.mark.parametrize("number", [float("-inf"), np.float32("nan"), 10**400], ids=["-inf", "nan", "huge"])
def test_a_number_that_says_nothing_is_missing_and_told(number):
    encoding = fitted()
    assert encoding.encode([{"age": number}]).tolist() == encoding.encode([{}]).tolist()
    assert encoding.not_finite([{"age": number}, {"age": 3}, {}, {"unasked": number}]) == 1


@pytest.mark.parametrize("ages", [[1e308, 1.5e308, 3.0], [1e308, 1e308], [0.0, 1e-200, 2e-200]])
def test_absurd_numbers_in_training_leave_every_encoding_finite(ages):
    users = [{"age": age} for age in ages]
    encoding = ProfileEncoding.fit(users, {"age": "numeric"})
    assert np.isfinite(encoding.encode([*users, {}, {"age": 0}, {"age": 2.0}])).all()


def test_a_constant_column_does_not_divide_by_zero():
    encoding = ProfileEncoding.fit([{"age": 5}, {"age": 5}], {"age": "numeric"})
    assert encoding.encode([{"age": 5}]).tolist() == [[0, 0]]


def test_equal_counts_are_ordered_by_name_so_that_fitting_is_deterministic():
    users = [{"gender": value} for value in ("b", "a", "c", "a", "b", "c")]
    forward = ProfileEncoding.fit(users, {"gender": "categorical"}, min_count=1, max_categories=2)
    backward = ProfileEncoding.fit(users[::-1], {"gender": "categorical"}, min_count=1, max_categories=2)
    assert forward == backward
    assert forward.columns[0].categories == ("a", "b")


def test_it_survives_json_exactly():
    encoding = fitted()
    assert ProfileEncoding.from_dict(json.loads(json.dumps(encoding.to_dict()))) == encoding


def test_unknown_keys_are_refused():
    stored = fitted().to_dict()
    with pytest.raises(ConfigError, match="more"):
        ProfileEncoding.from_dict(stored | {"more": 1})
    stored["columns"][0]["colour"] = "red"
    with pytest.raises(ConfigError, match="colour"):
        ProfileEncoding.from_dict(stored)


def test_no_profile_is_a_vector_of_length_nothing():
    assert ProfileEncoding().encode([{}, {}]).shape == (2, 0)
