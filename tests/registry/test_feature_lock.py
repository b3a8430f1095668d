"""A snapshot names the features that it reads, and is refused where it would be given others."""

from dataclasses import replace

import pytest

from recsys.context import rows
from recsys.context.rows import feature_schema
from recsys.data.schema import WorkspaceSchema
from recsys.errors import SnapshotError
from recsys.registry.feature_lock import FEATURES_SECTION, features_of, features_section, refuse_other_features
from recsys.registry.loading import load_recommender

SCHEMA = WorkspaceSchema(name="tiny", user_columns={"age": "numeric"})


@pytest.fixture
def locked(make_snapshot, tmp_path):
    section = {FEATURES_SECTION: features_section(SCHEMA)}
    return make_snapshot(tmp_path / "locked", schema=SCHEMA, config=section)


def test_a_snapshot_reads_the_features_that_it_names(locked):
    assert features_of(locked) == feature_schema(SCHEMA)
    refuse_other_features(locked, feature_schema(SCHEMA), "there is", "")


def test_other_features_are_refused_with_the_difference(locked):
    other = feature_schema(replace(SCHEMA, user_columns={"age": "categorical", "city": "text"}))
    with pytest.raises(SnapshotError) as caught:
        refuse_other_features(locked, other, "the workspace has", "Train again.")
    told = str(caught.value)
    assert "column 'profile_age' was Float64 and is String" in told
    assert "column 'profile_city' (String) is new" in told
    assert feature_schema(SCHEMA).service in told
    assert other.service in told


def test_a_snapshot_of_another_fold_is_refused_at_load(locked, monkeypatch):
    monkeypatch.setattr(rows, "LAYOUT", rows.LAYOUT + 1)
    with pytest.raises(SnapshotError, match=rf"the fold has layout {rows.LAYOUT}, it had .*Train again"):
        load_recommender(locked, "1")


def test_a_snapshot_of_another_row_is_refused_at_load(locked, monkeypatch):
    fewer = {name: dtype for name, dtype in rows.SEEN_COLUMNS.items() if name != "seen_last"}
    monkeypatch.setattr(rows, "SEEN_COLUMNS", fewer)
    with pytest.raises(SnapshotError, match=r"column 'seen_last' \(List\(Int64\)\) is gone"):
        load_recommender(locked, "1")


def test_a_snapshot_of_before_versions_were_written_down_reads_what_its_schema_asks_for(make_snapshot, tmp_path):
    older = make_snapshot(tmp_path / "older", schema=SCHEMA)
    assert features_of(older) == feature_schema(SCHEMA)


@pytest.mark.parametrize(
    "section",
    [
        "v1",
        {},
        {**features_section(SCHEMA), "sha256": "0" * 64},
        {**features_section(SCHEMA), "schema": {"layout": 3}},
        {**features_section(SCHEMA), "schema": features_section(replace(SCHEMA, repeats=True))["schema"]},
    ],
)
def test_a_section_that_does_not_hold_together_is_refused(make_snapshot, tmp_path, section):
    damaged = make_snapshot(tmp_path / "damaged", schema=SCHEMA, config={FEATURES_SECTION: section})
    with pytest.raises(SnapshotError, match="does not say which features|names the feature service"):
        features_of(damaged)
