"""Stored rows: feature names that no store trips over, a version in the service's name, one typed FeatureRow."""

from dataclasses import replace

from recsys.context.rows import feature_rows, feature_service_name, profile_fields


def test_feature_names_are_plain_distinct_without_case_and_never_meet_the_fixed_ones(world):
    assert profile_fields(world.schema) == {
        "Zip code": "profile_zip_code",
        "zip_code": "profile_zip_code_1",
        "age": "profile_age",
        "likes": "profile_likes",
        "about": "profile_about",
        "event_count": "profile_event_count",
    }


def test_columns_without_a_latin_letter_and_suffixed_twins_stay_distinct(world):
    names = ["年齢", "性別", "zip_4", "zip", "ZIP", "zip_3", "Zip 3"]
    fields = profile_fields(replace(world.schema, user_columns=dict.fromkeys(names, "text")))
    assert len(set(fields.values())) == len(names)
    assert all(field.isascii() and field.replace("_", "").isalnum() for field in fields.values())


def test_another_shape_is_another_service(world):
    other = replace(world.schema, user_columns={"age": "numeric"})
    assert feature_service_name(world.schema) != feature_service_name(other)
    assert feature_service_name(world.schema) == feature_service_name(replace(world.schema))


def test_a_folded_row_becomes_the_row_that_travels(world):
    world.append(("böb", "a", 2**53 + 1, "buy"))
    (row,) = feature_rows(world.folder.now(["böb"]).to_dict(as_series=False), world.schema)
    assert row.history_times == (2**53 + 1,)
    assert row.history_values == (0.10000000149011612,)
    assert (row.first_event_at, row.last_event_at, row.log_sequence) == (2**53 + 1, 2**53 + 1, 1)
    assert row.profile == {
        "Zip code": None, "zip_code": "b", "age": None, "likes": None, "about": None, "event_count": 0.0
    }  # fmt: skip


def test_a_row_that_is_not_present_is_an_unknown_user(world):
    nothing = {name: [None] for name in world.folder.now([]).columns} | {"user_id": ["x"]}
    (row,) = feature_rows(nothing, world.schema)
    assert (row.user_id, row.present, row.degraded) == ("x", False, "unknown_user")
    assert set(row.profile) == set(world.schema.user_columns)
