"""The search solves exactly what the memory's own fit solves, keeps to its time and finds what is better."""

import numpy as np
import pytest
import torch
from scipy import sparse

from recsys.errors import TrainingError
from recsys.experts.memory import MemoryConfig, fit_sequence_memory, solve_sequence_memory
from recsys.training.memory_search import search_memory
from recsys.training.shared_grams import SharedGrams

N_ITEMS = 6
USERS = ([1, 2, 3, 4, 5, 6, 1], [2, 3, 2, 2, 5], [6], [], [4, 1, 3, 6])
STACKED = MemoryConfig(decays=(0.5, 0.9), windows=(2, 5), ridges=(1.5, 4.0), attribute_weight=0.4)
ATTRIBUTES = sparse.csr_matrix(np.array([[1, 0], [1, 1], [0, 0], [0, 1], [1, 0], [0, 1]], dtype=np.float32))


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("attributes", [None, ATTRIBUTES])
@pytest.mark.parametrize("kept_bytes", [0, 10**6])
@pytest.mark.parametrize(
    "config",
    [
        STACKED,
        STACKED.model_copy(update={"decays": (0.9, 0.5), "windows": (5, 2), "ridges": (4.0, 1.5)}),
        STACKED.model_copy(update={"max_columns": 7, "fallback": (0.7, 3, 2.0)}),
        MemoryConfig(decays=(0.9, 0.2, 0.9), windows=(4, 1, 2), ridges=(1.0, 2.0, 3.0)),
    ],
)
def test_a_setting_gives_the_memory_that_its_own_fit_gives(make_sequences, attributes, kept_bytes, config):
    own = make_sequences(*USERS)
    grams = SharedGrams(own, N_ITEMS, attributes, kept_bytes=kept_bytes)
    grams.system(STACKED)
    found = solve_sequence_memory(*grams.system(config)[:2], config, grams.system(config)[2])
    expected = fit_sequence_memory(own, N_ITEMS, config, attributes)
    torch.testing.assert_close(found.weights, expected.weights, atol=1e-5, rtol=1e-4)
    assert (found.decays, found.windows) == (expected.decays, expected.windows)


def test_events_of_different_weight_and_baskets_are_counted_as_the_fit_counts_them(make_sequences):
    from dataclasses import replace

    own = make_sequences(*USERS)
    weights = np.linspace(0.5, 2.0, len(own.items)).astype(np.float32)
    own = replace(own, values=weights, baskets=True, times=own.times // 2)
    grams = SharedGrams(own, N_ITEMS, ATTRIBUTES)
    gram, cross, described = grams.system(STACKED)
    found = solve_sequence_memory(gram, cross, STACKED, described)
    expected = fit_sequence_memory(own, N_ITEMS, STACKED, ATTRIBUTES)
    torch.testing.assert_close(found.weights, expected.weights, atol=1e-5, rtol=1e-4)


def test_nothing_is_counted_twice(make_sequences):
    grams = SharedGrams(make_sequences(*USERS), N_ITEMS, ATTRIBUTES)
    assert not grams.knows(STACKED)
    grams.system(STACKED)
    assert grams.counted == 3 + 2
    cheap = STACKED.model_copy(update={"ridges": (9.0, 9.0), "attribute_weight": 0.1})
    assert grams.knows(cheap)
    grams.system(cheap)
    assert grams.counted == 5
    grams.system(STACKED.model_copy(update={"windows": (3, 5)}))
    assert grams.counted == 5 + 3, "one block with itself, one with the other history, one with what follows"


def chains(users: int = 150) -> list[list[int]]:
    """The last event alone tells the next one, nine times out of ten."""
    rng = np.random.default_rng(2)
    after = rng.permutation(12) + 1
    sequences = []
    for _ in range(users):
        own = [int(rng.integers(1, 13))]
        while len(own) < 12:
            own.append(int(after[own[-1] - 1]) if rng.random() < 0.9 else int(rng.integers(1, 13)))
        sequences.append(own)
    return sequences


def judged_on(users, contexts_of):
    """How often the last event has the highest score."""

    def judge(memory) -> float:
        context, targets = contexts_of(users)
        scores = memory.score(context)
        return float((scores.argmax(1) == targets - 1).float().mean())

    return judge


@pytest.fixture
def last_events(make_sequences):
    from recsys.context.sequences import prefix_contexts

    def make(users):
        own = make_sequences(*users)
        everyone, known = np.arange(len(own)), own.lengths - 1
        context = prefix_contexts(own, everyone, known, np.zeros((len(own), 0), np.float32), history_length=20)
        return context, torch.from_numpy(own.items[own.offsets[1:] - 1])

    return make


def test_it_finds_the_planted_setting_from_one_that_is_told_too_much(make_sequences, last_events):
    users = chains()
    grams = SharedGrams(make_sequences(*[own[:-1] for own in users]), 12)
    start = MemoryConfig(decays=(1.0,), windows=(8,), ridges=(1.0,))
    judge = judged_on(users, last_events)
    found = search_memory(grams, start, judge, seconds=60, longest_window=20)
    best = max(trial.value for trial in found.trials)
    planted = fit_sequence_memory(
        make_sequences(*[own[:-1] for own in users]), 12, MemoryConfig(decays=(1.0,), windows=(1,), ridges=(1.0,))
    )
    assert found.trials[0].value < 0.8 * judge(planted)
    assert best >= 0.98 * judge(planted)
    assert judge(found.memory) == best
    assert found.best == next(trial.config for trial in found.trials if trial.value == best)
    assert found.finished


def walk(make_sequences, judge, clock, seconds, config=STACKED, **more):
    grams = SharedGrams(make_sequences(*USERS), N_ITEMS, ATTRIBUTES)
    return search_memory(grams, config, judge, seconds=seconds, longest_window=20, clock=clock, **more)


@pytest.mark.parametrize(("seconds", "trials"), [(0, 1), (10, 1), (19, 1), (20, 2), (55, 5)])
def test_it_never_begins_what_would_not_end_in_time(make_sequences, seconds, trials):
    clock = Clock()

    def judge(_) -> float:
        clock.now += 10
        return 0.5

    found = walk(make_sequences, judge, clock, seconds)
    assert len(found.trials) == trials
    assert clock.now - 100 <= max(seconds, 10)
    assert not found.finished
    assert found.best.decays == STACKED.decays


def test_where_counting_takes_too_long_only_ridges_are_tried(make_sequences, monkeypatch):
    clock, count = Clock(), SharedGrams._counted

    def slow(*arguments):
        clock.now += 30
        return count(*arguments)

    def judge(_) -> float:
        clock.now += 1
        return 0.5

    monkeypatch.setattr(SharedGrams, "_counted", slow)
    found = walk(make_sequences, judge, clock, 91 + 91)
    assert clock.now - 100 <= 91 + 91
    assert len(found.trials) == 1 + 8
    assert all("ridge" in trial.changed or "attribute" in trial.changed for trial in found.trials[1:])
    assert not found.finished


def test_trials_are_told_as_they_end_and_none_is_made_twice(make_sequences):
    told = []
    found = walk(make_sequences, lambda memory: float(-memory.windows[0]), Clock(), 1, on_trial=told.append)
    assert tuple(told) == found.trials
    assert len({trial.config for trial in told}) == len(told)
    assert found.best.windows[0] == 1
    assert told[0].better


def test_a_setting_that_cannot_be_solved_is_passed_over(make_sequences, monkeypatch):
    from recsys.training import memory_search

    solve = memory_search.solve_sequence_memory

    def fails(gram, cross, config, described):
        if config.ridges[0] > 2:
            raise TrainingError("too small")
        return solve(gram, cross, config, described)

    monkeypatch.setattr(memory_search, "solve_sequence_memory", fails)
    found = walk(make_sequences, lambda memory: 0.5, Clock(), 1)
    assert [trial.solved for trial in found.trials].count(False) == 1
    with pytest.raises(TrainingError, match="Raise them"):
        walk(make_sequences, lambda _: 0.5, Clock(), 1, STACKED.model_copy(update={"ridges": (3.0, 1.0)}))


def test_a_large_catalogue_is_searched_from_its_fallback(make_sequences):
    config = STACKED.model_copy(update={"max_columns": 5, "fallback": (0.8, 3, 2.0)})
    found = walk(make_sequences, lambda memory: float(-memory.decays[0]), Clock(), 1, config)
    assert found.trials[0].config.decays == (0.8,)
    assert found.best.fallback == (0.0, 3, 2.0)
    assert found.best.histories(N_ITEMS) == [(0.0, 3, 2.0)]
    assert found.best.histories(10**6) == [(0.0, 3, 2.0)]
