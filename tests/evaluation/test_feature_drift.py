"""Contexts of now beside those of training: what moved most comes first, and every feature says how."""

from dataclasses import replace

import pytest

from recsys.context.batch import FeatureRow
from recsys.data.schema import WorkspaceSchema
from recsys.evaluation.drift_page import drift_page
from recsys.evaluation.feature_drift import compare, feature_frame

SCHEMA = WorkspaceSchema(name="shop", user_columns={"age": "numeric", "job": "categorical", "likes": "list"})
HOUR = 3_600_000_000


def row(n, **changes):
    own = {
        "user_id": f"u{n}",
        "history_items": ("a", "b"),
        "history_times": (n * HOUR, (n + 1) * HOUR),
        "history_values": (1.0, 2.0),
        "event_count": 2 + n % 7,
        "last_event_at": (n + 1) * HOUR,
        "mean_gap": HOUR,
        "affinity_names": (f"genre={n % 3}",),
        "profile": {"age": float(n % 9), "job": "x" if n % 2 else "y", "likes": ("p",) * (n % 3)},
        "present": True,
    }
    return FeatureRow(**(own | changes))


ROWS = [row(n) for n in range(200)]


def compared(rows, schema=SCHEMA):
    frames = [feature_frame(own, {"a", "b"}, schema) for own in (ROWS, rows)]
    return {drift.name: drift for drift in compare(*frames)}


def test_the_same_contexts_have_not_moved():
    found = compared(list(reversed(ROWS)))
    assert {drift.verdict for drift in found.values()} == {"stable"}
    assert max(drift.psi for drift in found.values()) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("change", "feature"),
    [
        ({"event_count": 99}, "event_count"),
        ({"history_items": ("a", "new")}, "unknown_item_rate"),
        ({"history_values": (5.0, 5.0)}, "value_mean"),
        ({"last_event_at": 3 * HOUR}, "hour_of_last_event"),
        ({"affinity_names": ("genre=9",)}, "strongest_affinity"),
        ({"mean_gap": 99 * HOUR}, "mean_gap_days"),
        ({"popularity_mean": 4.0}, "popularity_mean"),
        ({"profile": {"age": None, "job": "x", "likes": None}}, "profile age"),
        ({"profile": {"age": 1.0, "job": "z", "likes": ()}}, "profile job"),
    ],
)
def test_what_moved_is_told_and_nothing_else_is_blamed(change, feature):
    found = compared([replace(own, **change) for own in ROWS])
    assert found[feature].verdict == "large"
    if not feature.startswith("profile"):
        assert [name for name, drift in found.items() if drift.verdict != "stable"] == [feature]


def test_missing_values_and_means_are_told_of_both_sides():
    found = compared([replace(own, profile={**own.profile, "age": None}) for own in ROWS])["profile age"]
    assert (found.missing_then, found.missing_now, found.mean_now) == (0.0, 1.0, None)
    assert found.mean_then == pytest.approx(3.95, abs=0.1)


def test_contexts_without_a_history_have_no_rates():
    found = compared([FeatureRow(user_id=None)] * 5)
    assert found["unknown_item_rate"].missing_now == 1.0
    assert found["strongest_affinity"].missing_now == 1.0


def test_without_a_clock_nothing_is_said_of_times():
    names = set(feature_frame(ROWS, {"a"}, replace(SCHEMA, clock=False)).columns)
    assert names.isdisjoint({"hour_of_last_event", "mean_gap_days", "active_days"})


def test_the_page_holds_every_feature_and_peoples_names_are_text():
    schema = replace(SCHEMA, user_columns={"<b>&": "numeric"})
    found = list(compared(ROWS, schema).values())
    page = drift_page("A <title>", {"version": "<1>"}, found)
    assert page.count("<tr>") == len(found) + 1
    assert "profile &lt;b&gt;&amp;" in page
    assert "A &lt;title&gt;" in page
    assert "<1>" not in page
