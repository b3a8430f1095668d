"""With baskets as targets every figure of a user is one number still, and all sections of a report stand."""

import json

import numpy as np
import pytest
import torch

from recsys.evaluation.calibrated import ITEM, LIST, MEANING, calibration_section
from recsys.evaluation.comparisons import LOG_LOSS, NDCG, RECALL, comparison_section
from recsys.evaluation.full_ranking import MODEL, SHARED_BLEND, rank_sets, rank_targets
from recsys.evaluation.measurement import measure
from recsys.evaluation.next_basket import BasketSplit
from recsys.evaluation.run import evaluate_in_full, evaluate_split

USERS = 120


@pytest.fixture
def baskets(by_parity, parity_users):
    """Each user's basket: what the own head puts first, and an item ten places further on."""
    rows, targets = parity_users(USERS)
    names = by_parity.vocabulary
    return rows, [(first, names[(names.index(first) + 10) % len(names)]) for first in targets]


@pytest.fixture
def split(baskets) -> BasketSplit:
    rows, targets = baskets
    return BasketSplit("validation", tuple(row.user_id for row in rows), tuple(targets), (0,) * USERS)


def test_every_users_figures_are_one_number_each(by_parity, baskets):
    measured = measure(by_parity, *baskets, {})
    own = measured.figures[MODEL]
    assert {values.shape for values in own.values()} == {(USERS,)}
    assert measured.ranks[MODEL].tolist() == [0] * USERS
    assert set(own["hr@5"]) == set(own["mrr"]) == {1.0}
    assert set(own["recall@5"]) == {0.5}, "the other item is further down"
    assert (own["gauc"] < 1).all()
    assert measured.log_losses[MODEL].shape == (USERS,)


def test_recall_is_a_figure_of_baskets_only(by_parity, parity_users, baskets):
    assert "recall@10" in measure(by_parity, *baskets, {}).accuracy()[MODEL]
    assert "recall@10" not in measure(by_parity, *parity_users(9), {}).accuracy()[MODEL]


def test_the_loss_is_the_mean_over_the_basket(by_parity, baskets):
    rows, targets = baskets
    together = measure(by_parity, rows, targets, {}).log_losses
    alone = [measure(by_parity, rows, [own[n] for own in targets], {}) for n in (0, 1)]
    both = alone[0].possible & alone[1].possible
    for name in (MODEL, SHARED_BLEND):
        expected = (alone[0].log_losses[name] + alone[1].log_losses[name]) / 2
        assert together[name][both] == pytest.approx(expected[both])
    assert both.sum() > USERS / 2


def test_ranks_of_all_items_and_of_the_best_one(by_parity, baskets):
    sets, best = rank_sets(by_parity, *baskets, {}), rank_targets(by_parity, *baskets, {})
    assert sets[MODEL].shape == (USERS, 2)
    assert (sets[MODEL][:, 0] < sets[MODEL][:, 1]).all()
    assert best[MODEL].tolist() == sets[MODEL][:, 0].tolist()


def test_recall_is_compared_beside_ndcg(by_parity, baskets):
    measured = measure(by_parity, *baskets, {"same": lambda context: torch.arange(30.0).expand(len(context), -1)})
    section = comparison_section(measured, "same")
    assert [(one["figure"], one["against"]) for one in section["paired"]] == [
        (NDCG, SHARED_BLEND),
        (NDCG, "same"),
        (RECALL, SHARED_BLEND),
        (RECALL, "same"),
        (LOG_LOSS, SHARED_BLEND),
    ]


def test_probabilities_are_of_being_in_the_next_basket(by_parity, baskets):
    measured = measure(by_parity, *baskets, {})
    section = calibration_section(measured, [row.user_id for row in baskets[0]], None)
    assert section[MEANING] == {
        ITEM: "P(item is in the next basket)",
        LIST: "P(any of the top-10 is in the next basket)",
    }
    assert section[ITEM]["base_rate"] == pytest.approx(measured.hits.mean())
    assert section[ITEM]["base_rate"] > 1 / 10, "of some lists both items of the basket are part"
    any_of_them = 1 - (1 - measured.probabilities).prod(1)
    assert section[LIST]["mean_probability"] == pytest.approx(any_of_them.mean())


def test_baselines_read_complete_histories_and_the_model_its_own_context(by_parity, baskets):
    rows, targets = baskets
    seen = []

    def histories(users):
        seen.append(users)
        return users

    def scorer(context):
        assert isinstance(context, np.ndarray), "positions of users stand in for their histories here"
        return torch.from_numpy(context[:, None] * 1.0).expand(-1, 30)

    measured = measure(by_parity, rows, targets, {"b": scorer}, histories)
    assert sorted(np.concatenate(seen).tolist()) == list(range(USERS))
    assert set(measured.figures["b"]["ndcg@10"]) == {0.0}
    assert set(measured.figures[MODEL]["hr@5"]) == {1.0}


def test_a_whole_report_and_trainings_figures_agree(by_parity, baskets, split):
    reader = type("Reader", (), {"as_of": lambda *_: baskets[0]})()
    full = evaluate_in_full(by_parity, reader, split, {}, training_counts=np.arange(30))
    quick = evaluate_split(by_parity, reader, split, {})
    assert quick[MODEL] == pytest.approx({name: full.metrics[MODEL][name] for name in quick[MODEL]})
    assert {"recall@10", "ndcg@10", "hr@10", "mrr"} <= quick[MODEL].keys()
    assert set(full.sections) == {"comparisons", "groups", "calibration", "personalisation"}
    json.dumps(full.sections, allow_nan=False)
