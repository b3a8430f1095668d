"""The habit expert: which of one's own items come again, learned from everybody's records of their own."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from recsys.context.sequences import Sequences, prefix_contexts
from recsys.errors import TrainingError
from recsys.experts import habit_fit
from recsys.experts.habit import HabitConfig, HabitExpert, records
from recsys.experts.habit_fit import fit_habit

DAY = 86_400_000_000
ITEMS = 6
STAPLE, ONCE = 1, 2


def households(users: int = 60, weeks: int = 12) -> Sequences:
    """Weekly baskets: the staple every week, an item of one's own in two weeks of five, one item never twice."""
    rng = np.random.default_rng(0)
    rows = []
    for _ in range(users):
        own = int(rng.integers(3, ITEMS + 1))
        once = int(rng.integers(1, weeks - 1))
        rows.append(
            [
                (item, 7 * week)
                for week in range(weeks)
                for item in sorted({STAPLE, *([own] if rng.random() < 0.4 else []), *([ONCE] if week == once else [])})
            ]
        )
    flat = [event for row in rows for event in row]
    return Sequences(
        user_ids=tuple(f"u{n}" for n in range(users)),
        offsets=np.cumsum([0, *map(len, rows)]),
        items=np.array([item for item, _ in flat], dtype=np.int64),
        times=np.array([day for _, day in flat], dtype=np.int64) * DAY + 2**50,
        values=np.ones(len(flat), dtype=np.float32),
        baskets=True,
    )


def contexts(own: Sequences, lengths=None):
    known = own.lengths if lengths is None else lengths
    return prefix_contexts(own, np.arange(len(own)), known, np.zeros((len(own), 0), np.float32), history_length=50)


def fitted(own: Sequences, **settings) -> HabitExpert:
    return fit_habit(own, ITEMS, HabitConfig(**settings), history_length=50)


def test_what_is_bought_every_week_comes_before_what_was_bought_once_long_ago():
    own = households()
    context = contexts(own)
    scores = fitted(own).score(context)
    assert scores.shape == (len(own), ITEMS)
    assert scores.dtype == torch.float32
    newest = own.times.max()
    long_ago = context.seen_last[context.seen == ONCE] < newest - 40 * DAY
    assert long_ago.any()
    assert (scores[:, STAPLE - 1] > scores[:, ONCE - 1] + 2)[long_ago].all()


def test_items_without_a_positive_event_share_one_logit():
    own = households()
    expert = fitted(own)
    context = contexts(own)
    scores = expert.score(context)
    met = torch.zeros(len(own), ITEMS, dtype=torch.bool)
    owner = np.repeat(np.arange(len(own)), own.lengths)
    met[owner, own.items - 1] = True
    assert (scores[~met] == expert.unseen).all()
    assert (~met).any()


def test_nobody_known_gives_everybody_the_same():
    own = households()
    scores = fitted(own).score(contexts(own, np.zeros(len(own), np.int64)))
    assert (scores == scores[0, 0]).all()


def test_the_fit_beats_one_decayed_count_in_log_loss():
    own = households()
    expert = fitted(own)
    found = habit_fit._examples(own, ITEMS, expert.config, 50)
    logits = found.numbers @ expert.weights + expert.intercepts[found.columns]
    learned = habit_fit._log_loss(logits, expert.unseen, found)
    counted = [habit_fit._log_loss(scale * found.numbers[:, 2], expert.unseen, found) for scale in (0.5, 1.0, 2.0, 4.0)]
    assert learned < min(counted) - 0.05


def test_records_hold_logarithms_of_counts_as_they_are_decayed():
    own = Sequences(
        ("u",), np.array([0, 3]), np.array([1, 2, 1]), np.array([0, 10, 20]) * DAY + 2**50, np.ones(3, np.float32)
    )
    rows, columns, numbers = records(contexts(own), ITEMS, HabitConfig(half_lives=(10.0,)))
    assert rows.tolist() == [0, 0]
    assert columns.tolist() == [0, 1]
    expected = torch.tensor([[1.251, 3.0, 4.0], [0.501, 2.0, 4.0]]).log()
    torch.testing.assert_close(numbers, expected)


def test_a_basket_weighs_the_same_whatever_its_size():
    rows = torch.tensor([0, 0, 1])
    found = habit_fit._Examples(
        rows, torch.tensor([0, 1, 0]), torch.zeros(3, 1), torch.ones(3), torch.zeros(2), torch.full((2,), 4.0)
    )
    loss = habit_fit._log_loss(torch.zeros(3), torch.zeros(()), found)
    assert float(loss) == pytest.approx((np.log(6) + np.log(5)) / 2)


def test_without_a_clock_half_lives_count_events():
    own = households()
    own = Sequences(own.user_ids, own.offsets, own.items, np.zeros_like(own.times), own.values)
    expert = fitted(own, age="events")
    scores = expert.score(contexts(own))
    assert torch.isfinite(scores).all()
    assert (scores[:, STAPLE - 1] > scores[:, ONCE - 1]).all()


def test_nothing_to_learn_from_is_no_opinion():
    single = Sequences(("u",), np.array([0, 1]), np.array([1]), np.array([2**50]), np.ones(1, np.float32))
    assert not fitted(single).score(contexts(single)).any()


def test_it_is_rebuilt_from_plain_values_and_tensors():
    own = households(20)
    expert = fitted(own)
    again = HabitExpert.rebuild(expert.settings(), expert.tensors())
    assert torch.equal(again.score(contexts(own)), expert.score(contexts(own)))
    with pytest.raises(ValueError, match="weights"):
        HabitExpert.rebuild(expert.settings(), {**expert.tensors(), "weights": torch.zeros(2)})


def test_a_loss_that_is_not_finite_stops_the_fit(monkeypatch):
    monkeypatch.setattr(habit_fit, "_log_loss", lambda logits, *_: logits.sum() * float("nan"))
    with pytest.raises(TrainingError, match="not finite"):
        fitted(households(20))


def test_unknown_settings_and_impossible_ones_are_refused():
    for wrong in ({"half_lives": ()}, {"half_lives": (0.0,)}, {"item_penalty": 0.0}, {"decay": 1}):
        with pytest.raises(ValidationError):
            HabitConfig(**wrong)
