"""Every scorer is ranked on the same targets under the same mask, and an impossible target ranks last."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from recsys.context.batch import FeatureRow
from recsys.context.encoder import ContextEncoder
from recsys.context.profile import ProfileEncoding
from recsys.data.schema import WorkspaceSchema
from recsys.errors import TrainingError
from recsys.evaluation.full_ranking import MODEL, SHARED_BLEND, rank_targets
from recsys.evaluation.protocol import Split
from recsys.evaluation.run import evaluate_split
from recsys.model.calibration import Calibration
from recsys.ranking.recommender import Recommender

VOCABULARY = tuple("abcde")


class FixedScores:
    """A model that scores item j with j for everybody, and whose shared blend says the opposite."""

    network = SimpleNamespace(names=("body", "memory"), said_alone=("body", "memory"), n_items=5)

    def forward(self, context):
        scores = torch.arange(5.0).expand(len(context), -1)
        outputs = SimpleNamespace(scores=torch.stack([scores * 2, torch.zeros_like(scores)], dim=1))
        return SimpleNamespace(outputs=outputs, head=None, scores=scores)

    def shared_scores(self, outputs):
        return -outputs.scores[:, 0]


def recommender(*, repeats: bool = False) -> Recommender:
    encoder = ContextEncoder(VOCABULARY, ProfileEncoding(), 4)
    return Recommender(FixedScores(), encoder, WorkspaceSchema("w", repeats=repeats), Calibration(), "1")


def row(seen: str = "") -> FeatureRow:
    return FeatureRow(user_id="u", seen_items=tuple(seen))


def test_every_scorer_gets_ranks_over_the_same_unmasked_items():
    rows, targets = [row(), row("e"), row("cd")], ["d", "d", "a"]
    ranks = rank_targets(recommender(), rows, targets, {"equal": lambda context: torch.zeros(len(context), 5)})
    assert {name: own.tolist() for name, own in ranks.items()} == {
        MODEL: [1, 0, 2],
        SHARED_BLEND: [3, 3, 0],
        "expert: body": [1, 0, 2],
        "expert: memory": [4, 3, 2],
        "equal": [4, 3, 2],
    }


def test_seen_items_stay_in_the_ranking_where_items_repeat():
    assert rank_targets(recommender(repeats=True), [row("e")], ["d"], {})[MODEL].tolist() == [1]
    assert rank_targets(recommender(repeats=True), [row("d")], ["d"], {})[MODEL].tolist() == [1]


def test_a_target_that_the_model_does_not_know_ranks_last():
    assert rank_targets(recommender(), [row(), row()], ["unheard-of", "e"], {})[MODEL].tolist() == [5, 0]


def test_a_target_that_the_product_would_never_recommend_ranks_last():
    assert rank_targets(recommender(), [row("e")], ["e"], {})[MODEL].tolist() == [5]


def test_blocks_make_no_difference():
    rng = np.random.default_rng(0)
    targets = [VOCABULARY[i] for i in rng.integers(0, 5, 600)]
    found = rank_targets(recommender(), [row()] * 600, targets, {})[MODEL]
    assert found.tolist() == [4 - VOCABULARY.index(target) for target in targets]


def test_a_scorer_that_gives_no_number_is_named():
    broken = {"broken": lambda context: torch.full((len(context), 5), torch.nan)}
    with pytest.raises(TrainingError, match="The scorer 'broken' gave a score that is not finite"):
        rank_targets(recommender(), [row()], ["a"], broken)


def test_contexts_are_asked_for_as_of_the_targets_moments():
    asked = []

    class Reader:
        def as_of(self, user_ids, moments):
            asked.append((tuple(user_ids), tuple(moments)))
            return [row("e"), row()]

    split = Split("test", ("u", "v"), ("d", "e"), (17, 4))
    metrics = evaluate_split(recommender(), Reader(), split, {})
    assert asked == [(("u", "v"), (17, 4))]
    assert metrics[MODEL]["ndcg@10"] == 1
    assert metrics[SHARED_BLEND]["mrr"] == pytest.approx((1 / 4 + 1 / 5) / 2)
