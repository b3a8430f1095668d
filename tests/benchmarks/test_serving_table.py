"""The service's table says what answered, and puts what was measured under load beside what was measured alone."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks.load.model import is_trained
from benchmarks.load.table import printed
from recsys.data.schema import WorkspaceSchema
from recsys.registry.lineage import lineage

RESULTS = Path(__file__).resolve().parents[2] / "benchmarks" / "results" / "serving.json"


@pytest.fixture
def figures():
    return json.loads(RESULTS.read_text())["figures"]


def test_events_under_the_mix_stand_next_to_those_of_a_service_at_rest(figures):
    figures["mix"]["events"] = {"n": 600, "p50": 19.5, "p95": 114.25, "p99": 159.75, "max": 222.0}
    lines = printed({"trained": True, **figures}).splitlines()
    [at_rest] = [n for n, line in enumerate(lines) if "event posted to changed ranking" in line]
    [under_load] = [n for n, line in enumerate(lines) if "event acknowledged, under the mix" in line]
    assert at_rest < under_load <= at_rest + 2
    assert "p50 19.5 ms, p95 114.25 ms, p99 159.75 ms" in lines[under_load]


@pytest.mark.parametrize(("trained", "said"), [(True, "a trained model"), (False, "an untrained model")])
def test_the_table_says_whether_the_model_was_trained(figures, trained, said):
    assert said in printed({**figures, "trained": trained})


def test_a_training_is_told_by_its_data():
    dataset = SimpleNamespace(schema=WorkspaceSchema(name="films"), fingerprint=lambda: "f1", log_position=3)
    assert is_trained(lineage(dataset))
    assert not is_trained({"log_position": 3, "trained_at": "2026-01-01T00:00:00+00:00"})
