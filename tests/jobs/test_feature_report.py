"""The report on features: training's contexts stay what they were, the present ones move, MLflow keeps both."""

import json
from pathlib import Path

import polars as pl
import pytest

from recsys.data.canonical import EVENT_SCHEMA
from recsys.errors import ConfigError
from recsys.events.log import EventLog
from recsys.jobs.feature_report import feature_report
from recsys.jobs.materialise import materialise
from recsys.registry.client import registry

pytestmark = pytest.mark.slow
YEARS_LATER = 1_700_000_000_000_000


def test_the_report_tells_what_moved_since_training(films):
    materialise(films)  # it is a copy, whose store still points to where it was copied from
    still = feature_report(films)
    assert (still.users_then, still.users_now, still.unknown_item_rate) == (40, 40, 0.0)
    assert {drift.verdict for drift in still.features} == {"stable"}

    rows = [
        (f"new{n}", f"u{n % 40:02d}", "never sold" if n % 2 else "i01", YEARS_LATER + n, None, 1.0) for n in range(400)
    ]
    EventLog(films.event_log).append(pl.DataFrame(rows, schema=EVENT_SCHEMA, orient="row"))
    moved = feature_report(films)
    by_name = {drift.name: drift for drift in moved.features}
    assert moved.trained_at_position == still.trained_at_position < moved.position
    assert by_name["unknown_item_rate"].verdict == "large"
    assert moved.unknown_item_rate > 0
    for name in ("event_count", "popularity_mean", "mean_gap_days"):
        then = next(drift.mean_then for drift in still.features if drift.name == name)
        assert by_name[name].mean_then == then, name

    with registry(films) as client:
        filed = {entry.path for entry in client.list_artifacts(moved.run_id, "features")}
        assert {f"features/features-{moved.model_version}{suffix}" for suffix in (".json", ".html")} == filed
        metrics = client.get_run(moved.run_id).data.metrics
    assert metrics["features.unknown_item_rate"] == moved.unknown_item_rate
    as_json, page = (Path(path) for path in moved.files)
    assert json.loads(as_json.read_text())["features"] == [drift.as_dict() for drift in moved.features]
    assert "unknown_item_rate" in page.read_text()
    assert feature_report(films, users=3, newest=True).users_now == 3


def test_the_newest_users_are_those_whose_events_came_last(films):
    log = EventLog(films.event_log)
    log.append(pl.DataFrame([("x", "latecomer", "i01", 1, None, 1.0)], schema=EVENT_SCHEMA, orient="row"))
    assert log.newest_users(1) == ["latecomer"]
    assert "latecomer" not in log.users(log.position() - 1)


def test_without_users_there_is_nothing_to_compare(films):
    with pytest.raises(ConfigError, match="users is 0"):
        feature_report(films, users=0)
