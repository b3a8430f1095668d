"""Workers killed anywhere in a fit cost the steps since the last checkpoint, and nothing of what comes of it."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from tests.killed_cases import outcomes_of

pytestmark = pytest.mark.slow

DRIVER = Path(__file__).with_name("killing.py")
EPOCHS, STEPS = 8, 12

RANDOM = random.Random(19)
ANY_STEP = [RANDOM.randrange(1, EPOCHS * STEPS) for _ in range(2)]
ANY_MOMENT = [RANDOM.randrange(300, 1_500) for _ in range(2)]


def case(name: str, arrivals: int = 1, workers: int = 1, then: int | None = None, **more: float) -> str:
    told = {"name": name, "arrivals": arrivals, "workers": workers, "then": workers if then is None else then}
    return json.dumps(told | more)


WHOLE = {workers: case("whole", workers=workers) for workers in (1, 2)}
SAME_WORKERS = [
    case("train.step-done", 1),
    *(case("train.step-done", step, minutes=0.0) for step in ANY_STEP),
    case("train.checkpoint-part-written", 3),
    case("train.checkpoint-written", 3),
    case("train.checkpoint-in-place", 3),
    case("train.checkpoint-in-place", EPOCHS),
    *(case("moment", moment, minutes=0.0) for moment in ANY_MOMENT),
    case("train.step-done", 2 * 2 * STEPS + 7, workers=2, minutes=0.0),
    case("train.checkpoint-part-written", 5, workers=2),
    case("train.checkpoint-written", 2, workers=2),
]
OTHER_WORKERS = [
    case("train.step-done", 2 * 80 + 1, workers=2, then=1, minutes=0.0),
    case("train.step-done", 7 * STEPS + 7, workers=1, then=2),
    case("train.checkpoint-in-place", EPOCHS - 1, workers=2, then=3),
]
"""Late, when steps are so small that nothing which is taken up wrongly would be mended."""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """What came of each case."""
    cases = [*WHOLE.values(), *SAME_WORKERS, *OTHER_WORKERS]
    return outcomes_of(DRIVER, tmp_path_factory.mktemp("killed"), cases)


@pytest.mark.parametrize("told", SAME_WORKERS)
def test_as_many_workers_end_with_the_same_weights_as_if_none_had_been_killed(outcomes, told):
    outcome, whole = outcomes[told], outcomes[WHOLE[json.loads(told)["then"]]]
    assert outcome["errors"] == []
    assert outcome["killed"] or json.loads(told)["name"] == "moment"
    assert outcome["weights"] == whole["weights"]
    assert outcome["losses"] == whole["losses"]


@pytest.mark.parametrize("told", OTHER_WORKERS)
def test_another_number_of_workers_goes_on_to_the_same_quality(outcomes, told):
    outcome, whole = outcomes[told], outcomes[WHOLE[json.loads(told)["workers"]]]
    assert outcome["errors"] == []
    assert outcome["killed"]
    assert outcome["left"][2] == json.loads(told)["workers"]
    assert len(outcome["losses"]) == EPOCHS
    assert outcome["ndcg"] == pytest.approx(whole["ndcg"], rel=0.01)


def test_two_workers_reach_the_quality_of_one(outcomes):
    one, two = (outcomes[WHOLE[workers]] for workers in (1, 2))
    assert one["ndcg"] > 0.9
    assert two["ndcg"] == pytest.approx(one["ndcg"], rel=0.01)
    assert two["weights"] != one["weights"]


@pytest.mark.parametrize(
    ("told", "left"),
    [
        (case("train.step-done", 1), None),
        (case("train.checkpoint-part-written", 3), [3, 0, 1]),
        (case("train.checkpoint-written", 3), [3, 0, 1]),
        (case("train.checkpoint-in-place", 3), [4, 0, 1]),
        (case("train.checkpoint-written", 2, workers=2), [2, 0, 2]),
    ],
)
def test_what_is_left_is_the_last_checkpoint_that_was_written_whole(outcomes, told, left):
    assert outcomes[told]["left"] == left
