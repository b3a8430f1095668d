"""How many weights a row the memories need: NDCG@10 on validation with fewer and fewer of them, beside all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.scale.variants import narrow, sparse
from recsys.evaluation.cases import Cases, Catalogue, leave_one_out_cases, score_cases
from recsys.metrics.ranking import ndcg
from recsys.ranking.recommender import Recommender
from recsys.training.dataset import Dataset

TOPS = (50, 100, 200, 400, 800, 1_600)
LARGEST_LOSS = 0.0005
LOSS_BY_TOP, LOSS_NARROW = "loss_by_weights_a_row", "loss_with_body_in_bfloat16"
_CUTOFF = 10


def thinned(
    recommender: Recommender, dataset: Dataset, content_hash: str, *, trained: bool, tops: Sequence[int] = TOPS
) -> dict[str, Any]:
    """NDCG@10 on validation, all weights and the largest of each row; the fewest that lose no more than allowed.

    Args:
        recommender: with dense memories.
        dataset: over the recommender's vocabulary.
        content_hash: the model's; the figures hold for no other.
        trained: whether it was; else it has no NDCG to lose, and the figures say nothing.
        tops: how many weights a row are tried, ascending.

    Returns:
        `top` is None where none of them is enough.
    """
    cases = leave_one_out_cases(dataset.sequences, "validation")
    whole = _ndcg(recommender.for_many(), dataset, cases)
    losses: dict[int, float] = {}
    for top in tops:
        losses[top] = round(whole - _ndcg(sparse(recommender, top), dataset, cases), 6)
        if losses[top] <= LARGEST_LOSS:
            break
    top = next((top for top, loss in losses.items() if loss <= LARGEST_LOSS), None)
    narrowed = _ndcg(narrow(recommender.for_many()), dataset, cases)
    return {
        "content_hash": content_hash,
        "trained": trained,
        "ndcg@10_dense": round(whole, 6),
        LOSS_BY_TOP: {str(top): loss for top, loss in losses.items()},
        "largest_loss_allowed": LARGEST_LOSS,
        "top": top,
        LOSS_NARROW: round(whole - narrowed, 6),
        "cases": len(cases),
    }


def _ndcg(recommender: Recommender, dataset: Dataset, cases: Cases) -> float:
    found = score_cases(
        lambda context: recommender.model.forward(context).scores,
        dataset.sequences,
        cases,
        Catalogue(len(recommender.vocabulary), recommender.schema.repeats),
        profile=dataset.encoded_profiles(recommender.encoder.profile),
        history_length=recommender.encoder.history_length,
    )
    return float(ndcg(found.ranks, _CUTOFF).mean())
