"""Baselines of the library `implicit`: tuned on validation, fold-in for unseen users, one clear message without it."""

import sys

import numpy as np
import pytest
import torch

from recsys.context.sequences import prefix_contexts
from recsys.errors import ConfigError
from recsys.evaluation.baselines import (
    IalsConfig,
    NeighbourConfig,
    fit_ials,
    fit_neighbours,
    ials_trials,
    neighbour_trials,
    popularity_scorer,
    validation_ndcg,
    with_fallback,
)
from recsys.evaluation.protocol import training_sequences

N_ITEMS = 30


@pytest.fixture
def library():
    return pytest.importorskip("implicit", reason="comes with the extra 'bench'")


def contexts(whole, lengths):
    return prefix_contexts(
        whole, np.arange(len(lengths)), np.array(lengths), np.zeros((len(whole), 0), np.float32), history_length=5
    )


def mean_over_halves(scores):
    return scores[:, :15].mean(1), scores[:, 15:].mean(1)


def test_without_the_library_the_message_says_what_to_install(two_tastes, monkeypatch):
    monkeypatch.setitem(sys.modules, "implicit", None)
    with pytest.raises(ConfigError, match=r"'implicit', which is not installed.*EXTRAS=all"):
        fit_ials(two_tastes, N_ITEMS, IalsConfig())
    with pytest.raises(ConfigError, match="not installed"):
        fit_neighbours(two_tastes, N_ITEMS, NeighbourConfig())


def test_popularity_is_the_same_for_everyone_and_counts_training_events(sequences_of):
    score = popularity_scorer(sequences_of([[1, 1, 2], [1]]), 3)
    scores = score(contexts(sequences_of([[3], [2]]), [1, 1]))
    assert scores.tolist() == [pytest.approx(np.log([4, 2, 1]).tolist())] * 2


def test_a_context_in_which_nothing_was_seen_gets_the_fallback(sequences_of):
    train = sequences_of([[1, 1, 2], [1]])
    popular = popularity_scorer(train, 3)
    score = with_fallback(lambda context: torch.full((len(context), 3), 7.0), popular)
    context = contexts(train, [0, 1])
    assert score(context)[0].tolist() == popular(context)[0].tolist()
    assert score(context)[1].tolist() == [7, 7, 7]


def scorers(train):
    return {
        "iALS": fit_ials(train, N_ITEMS, IalsConfig(factors=4, regularization=1.0)),
        "neighbours": fit_neighbours(train, N_ITEMS, NeighbourConfig(neighbours=10)),
    }


def test_unseen_users_are_served_by_their_context_alone(library, two_tastes, sequences_of):
    visitors = sequences_of([[1, 2, 3], [16, 17, 18]])
    for scorer in scorers(two_tastes).values():
        low, high = mean_over_halves(scorer(contexts(visitors, [3, 3])))
        assert low[0] > high[0]
        assert low[1] < high[1]


def test_scores_are_finite_float32_for_an_empty_context_too(library, two_tastes):
    for scorer in scorers(two_tastes).values():
        scores = scorer(contexts(two_tastes, [0, 1]))
        assert (scores.dtype, tuple(scores.shape)) == (torch.float32, (2, N_ITEMS))
        assert bool(torch.isfinite(scores).all())


def test_fold_in_solves_the_least_squares_of_the_paper(library, two_tastes):
    config = IalsConfig(factors=4, regularization=2.0, alpha=5.0)
    scorer = fit_ials(two_tastes, N_ITEMS, config)
    Y = scorer._model.item_factors.astype(np.float64)
    context = contexts(two_tastes, [4])
    seen = context.seen.numpy() - 1
    # Unseen items weigh 1 and have no preference; seen ones weigh alpha and have preference 1.
    left = Y.T @ Y + (config.alpha - 1) * Y[seen].T @ Y[seen] + config.regularization * np.eye(4)
    user = np.linalg.solve(left, config.alpha * Y[seen].sum(0))
    assert scorer(context)[0].numpy() == pytest.approx(Y @ user, abs=1e-4)


def test_neighbours_leave_the_item_itself_out(library, two_tastes):
    scorer = fit_neighbours(two_tastes, N_ITEMS, NeighbourConfig(neighbours=29))
    context = contexts(two_tastes, [1])
    assert scorer(context)[0, context.seen[0] - 1] == 0


def test_the_same_seed_gives_the_same_factors(library, two_tastes):
    context = contexts(two_tastes, [3, 3])
    one, again, other = (fit_ials(two_tastes, N_ITEMS, IalsConfig(factors=4), seed=s)(context) for s in (1, 1, 2))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


@pytest.mark.slow
@pytest.mark.parametrize(("search", "trials"), [(ials_trials, 12), (neighbour_trials, 6)])
def test_every_trial_is_kept_and_the_best_is_the_best_on_validation(library, two_tastes, search, trials):
    told = []
    train = training_sequences(two_tastes)
    tuned = search(two_tastes, train, N_ITEMS, repeats=False, on_trial=told.append)
    assert list(tuned.trials) == told
    assert len(tuned.trials) == trials
    assert tuned.best.ndcg == max(trial.ndcg for trial in tuned.trials)
    popular = validation_ndcg(popularity_scorer(train, N_ITEMS), two_tastes, train, N_ITEMS, repeats=False)
    assert tuned.best.ndcg > popular
