"""The body gets the epochs that a budget has time for: measured, at least one, at most those configured."""

import numpy as np
import pytest

from recsys.training import time_plan
from recsys.training.attributes import ItemAttributes
from recsys.training.config import load_config
from recsys.training.time_plan import plan_within

N_ITEMS, USERS, EVENTS = 20, 60, 10
START, EVENT_SECONDS, CLOSED = 4.0, 0.01, 1.5
QUICK = ["body_training.batch_events=4", "body_training.epochs=20"]


class Machine:
    """A fake clock, a body that takes a fixed time an event, and closed-form experts that take a fixed time in all."""

    def __init__(self) -> None:
        self.now = 50.0
        self.asked: list[tuple[int, int]] = []

    def clock(self) -> float:
        return self.now

    def fits(self, *_, **__):
        return {"memory": self.fit}

    def fit(self):
        self.now += CLOSED

    def body(self, sequences, attributes, config, progress, *, clock):
        epochs = config.body_training.epochs
        self.asked.append((len(sequences.items), epochs))
        self.now += START
        stage = progress.stage("body", epochs)
        for _ in range(epochs):
            self.now += EVENT_SECONDS * len(sequences.items)
            stage.advance()


@pytest.fixture
def planned(monkeypatch, make_sequences):
    machine = Machine()
    monkeypatch.setattr(time_plan, "fit_body_expert", machine.body)
    monkeypatch.setattr(time_plan, "closed_form_fits", machine.fits)
    rng = np.random.default_rng(0)
    own = make_sequences(*rng.integers(1, N_ITEMS + 1, (USERS, EVENTS)).tolist())

    def plan(seconds: float, *more: str):
        config = load_config(overrides=[*QUICK, *more])
        none = ItemAttributes.none(N_ITEMS)
        return plan_within(own, none, config, clock=True, repeats=False, seconds=seconds, now=machine.clock), config

    plan.machine = machine
    return plan


def test_an_epoch_is_reckoned_from_a_few_steps(planned):
    plan, _ = planned(1_000)
    assert plan.epoch_seconds == pytest.approx(EVENT_SECONDS * USERS * EVENTS)
    assert plan.start_seconds == pytest.approx(START)
    assert plan.closed_form_seconds == pytest.approx(CLOSED)
    [(events, epochs)] = planned.machine.asked
    assert 25 * 4 <= events < USERS * EVENTS / 2
    assert epochs == 2


@pytest.mark.parametrize("seconds", [60, 100, 150])
def test_all_that_is_planned_ends_within_the_budget_and_one_epoch_more_would_not(planned, seconds):
    plan, _ = planned(seconds)
    assert 1 < plan.epochs < 20

    def whole(epochs: int) -> float:
        return plan.spent_seconds + 2 * CLOSED + START + epochs * plan.epoch_seconds + 0.25 * seconds

    assert whole(plan.epochs) <= seconds < whole(plan.epochs + 1)


def test_there_are_never_more_epochs_than_configured_and_always_one(planned):
    assert planned(10_000)[0].epochs == 20
    assert planned(10_000, "body_training.epochs=3")[0].epochs == 3
    assert planned(0)[0].epochs == 1


def test_what_is_trained_says_the_planned_epochs_and_nothing_else_changes(planned):
    plan, config = planned(60)
    applied = plan.applied(config)
    assert applied.body_training.epochs == plan.epochs
    assert applied.model_copy(update={"body_training": config.body_training}) == config
