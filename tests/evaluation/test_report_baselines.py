"""A report's baselines follow the protocol; those of baskets know whole histories, and none is tuned on test."""

from types import SimpleNamespace

import numpy as np
import pytest

from recsys.context.sequences import Sequences
from recsys.data.schema import WorkspaceSchema
from recsys.evaluation.next_basket import basket_cases
from recsys.evaluation.report_baselines import EASE, FREQUENCY, POPULARITY, TIFU_KNN, report_baselines
from recsys.evaluation.workspace_protocol import training_sequences_of

DAY = 86_400_000_000
N_ITEMS = 40


def dataset(*, baskets: bool, weeks: int = 100, users: int = 12) -> SimpleNamespace:
    """Every user buys three own items a week, others than before in the second half of the time."""
    week = np.repeat(np.arange(weeks), 3)
    items = [(3 * u + np.tile(np.arange(3), weeks) + 15 * (week >= weeks // 2)) % N_ITEMS + 1 for u in range(users)]
    sequences = Sequences(
        user_ids=tuple(f"u{user:02}" for user in range(users)),
        offsets=np.arange(users + 1) * len(week),
        items=np.concatenate(items),
        times=np.tile(week * 7 * DAY, users),
        values=np.ones(users * len(week), dtype=np.float32),
        baskets=baskets,
    )
    schema = WorkspaceSchema("w", repeats=True, baskets=baskets)
    return SimpleNamespace(schema=schema, sequences=sequences, vocabulary=tuple(range(N_ITEMS)))


@pytest.fixture(scope="module")
def weekly():
    data = dataset(baskets=True)
    train = training_sequences_of(data)
    return data, {split: report_baselines(data, train, split) for split in ("validation", "test")}


def test_baskets_are_set_beside_what_people_come_back_to(weekly):
    _, found = weekly
    assert list(found["test"].scorers) == [POPULARITY, FREQUENCY, TIFU_KNN]
    tried = found["test"].tuned["personal frequency's half-lives tried (NDCG@10)"]
    assert len(tried) == 6
    assert tried[found["test"].tuned["personal frequency's half-life"]] == max(tried.values())
    assert found["test"].tuned["personal frequency's half-life"] != "none", "habits changed"


def test_their_contexts_hold_all_events_before_the_target_and_none_of_it(weekly):
    data, found = weekly
    for split, own in found.items():
        cases = basket_cases(data.sequences, split)
        context = own.histories(np.array([4, 1]))
        assert (context.history > 0).sum(1).tolist() == cases.known[[4, 1]].tolist()
        assert cases.known.min() > 200, "longer than the model's window"
        targets = data.sequences.offsets[cases.users[[4, 1]]] + cases.known[[4, 1]]
        assert (context.times[:, -1].numpy() < data.sequences.times[targets]).all()


def test_settings_do_not_hang_on_the_split(weekly):
    _, found = weekly
    assert found["validation"].tuned == found["test"].tuned


def test_other_workspaces_keep_ease_and_the_models_contexts():
    data = dataset(baskets=False, weeks=4)
    found = report_baselines(data, training_sequences_of(data), "validation")
    assert list(found.scorers) == [POPULARITY, EASE]
    assert "EASE ridge" in found.tuned
    assert found.histories is None
