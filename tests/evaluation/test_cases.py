"""Cases hold what was known before the target, and every scorer is judged on them in the same way."""

import numpy as np
import pytest
import torch

from recsys.evaluation.cases import Cases, Catalogue, case_blocks, fit_scale, leave_one_out_cases, score_cases

CATALOGUE = Catalogue(n_items=30, repeats=False)


def test_leave_one_out_takes_the_last_event_or_the_one_before(sequences_of):
    whole = sequences_of([[1, 2, 3, 4], [5, 6], [7, 8, 9]])
    validation, test = leave_one_out_cases(whole, "validation"), leave_one_out_cases(whole, "test")
    assert (validation.users.tolist(), validation.known.tolist(), validation.targets.tolist()) == (
        [0, 2],
        [2, 1],
        [3, 8],
    )
    assert (test.users.tolist(), test.known.tolist(), test.targets.tolist()) == ([0, 2], [3, 2], [4, 9])


def test_contexts_hold_the_first_events_only(two_tastes):
    cases = leave_one_out_cases(two_tastes, "validation")
    (block,) = case_blocks(two_tastes, cases, CATALOGUE)
    for row in (0, 17):
        start = two_tastes.offsets[cases.users[row]]
        known = two_tastes.items[start : start + cases.known[row]]
        assert block.context.history[row][block.context.history[row] > 0].tolist() == known.tolist()
        assert np.flatnonzero(block.masked[row]).tolist() == sorted(known - 1)


def test_a_scorer_that_knows_the_target_ranks_it_first_and_a_constant_one_last(two_tastes):
    cases = leave_one_out_cases(two_tastes, "validation")
    targets = iter(block.targets for block in case_blocks(two_tastes, cases, CATALOGUE))
    oracle = score_cases(lambda c: torch.eye(30)[next(targets)] * 9, two_tastes, cases, CATALOGUE)
    assert oracle.ranks.tolist() == [0] * 80
    assert oracle.log_loss.max() < 0.01
    constant = score_cases(lambda c: torch.zeros(len(c), 30), two_tastes, cases, CATALOGUE)
    candidates = 30 - cases.known
    assert constant.ranks.tolist() == (candidates - 1).tolist()
    assert constant.log_loss == pytest.approx(np.log(candidates), rel=1e-5)


def test_blocks_do_not_change_the_figures(two_tastes, monkeypatch):
    from recsys.evaluation import cases as module

    weights = torch.randn(31, 30, generator=torch.Generator().manual_seed(0))
    scorer = lambda c: weights[c.history[:, -1]]  # noqa: E731
    cases = leave_one_out_cases(two_tastes, "validation")
    at_once = score_cases(scorer, two_tastes, cases, CATALOGUE)
    monkeypatch.setattr(module, "_LARGEST_BLOCK", 7)
    in_blocks = score_cases(scorer, two_tastes, cases, CATALOGUE)
    assert in_blocks.ranks.tolist() == at_once.ranks.tolist()
    assert in_blocks.log_loss == pytest.approx(at_once.log_loss)


def test_a_target_seen_before_ranks_last_where_items_do_not_repeat(sequences_of):
    whole = sequences_of([[1, 2, 1, 3]])
    cases = leave_one_out_cases(whole, "validation")
    best_first = lambda c: torch.arange(5, 0, -1).float().expand(len(c), -1)  # noqa: E731
    assert score_cases(best_first, whole, cases, Catalogue(5, repeats=False)).ranks.tolist() == [5]
    assert score_cases(best_first, whole, cases, Catalogue(5, repeats=True)).ranks.tolist() == [0]
    uniform = score_cases(best_first, whole, cases, Catalogue(5, repeats=False)).log_loss
    assert uniform.tolist() == pytest.approx([np.log(3)])


def test_scores_that_are_not_finite_stop_the_evaluation(two_tastes):
    cases = leave_one_out_cases(two_tastes, "validation")
    with pytest.raises(ValueError, match="NaN or infinity"):
        score_cases(lambda c: torch.full((len(c), 30), float("nan")), two_tastes, cases, CATALOGUE)


def test_the_fitted_scale_finds_the_one_that_made_the_targets(sequences_of):
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, 40)
    drawn = rng.choice(40, 3000, p=np.exp(logits) / np.exp(logits).sum()) + 1
    whole = sequences_of([[int(item), int(item), 1, 1] for item in drawn])
    cases = Cases(np.arange(3000), np.zeros(3000, np.int64), drawn)
    shrunk = torch.from_numpy(logits / 50).float()
    scale = fit_scale(lambda c: shrunk.expand(len(c), -1), whole, cases, Catalogue(40, repeats=True))
    assert scale == pytest.approx(50, rel=0.1)
