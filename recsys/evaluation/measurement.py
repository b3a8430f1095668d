"""What is measured of each evaluated user, in one pass over the blocks: arrays of users, never of users by items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from recsys.context.batch import FeatureRow
from recsys.evaluation.baselines import Scorer
from recsys.evaluation.full_ranking import (
    MODEL,
    SHARED_BLEND,
    Histories,
    ScoredBlock,
    scored_blocks,
)
from recsys.evaluation.head_controls import MEAN_HEAD, OTHERS_HEAD, HeadControls, head_number_names
from recsys.evaluation.target_sets import BlockTargets, Target, TargetSets
from recsys.metrics.basket import basket_auc, basket_figures
from recsys.ranking.recommender import Recommender
from recsys.ranking.top_k import top_k

LIST_LENGTH = 10
LISTED = (MODEL, SHARED_BLEND)
"""Scorers whose lists are kept."""
LOGITS = (MODEL, SHARED_BLEND, OTHERS_HEAD, MEAN_HEAD)
"""Scorers whose scores are logits; the softmax of a single expert's or a baseline's means nothing."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One evaluation's raw results.

    Attributes:
        targets: every user's target, or targets where they are baskets.
        possible: (users,) bool: a target may be recommended at all.
        candidates: (users,) int64 unmasked items.
        ranks: (users,) int64 of the best-ranked target, by scorer.
        figures: (users,) each, by scorer and name: `ndcg@k`, `hr@k`, `recall@k` (baskets only), `mrr`, `gauc`.
        log_losses: (users,) nats, by scorer whose scores are logits: the mean over the targets that may be recommended,
            infinite where none may be.
        recommended: (n_items,) int64 by scorer: in how many top-10 lists an item is.
        lists: (users, 10) int64 columns of the top-10, by scorer that is listed; -1 where fewer may be recommended.
        hits: (users, 10) bool: which items of the model's list are targets.
        probabilities: (users, 10) calibrated probability of each item of the model's list, 0 past its end.
        basket_sizes: (users,) float32 usual size of each user's baskets; 1 where there are none.
        list_probabilities: (users,) calibrated probability that any item of the model's list is a target.
        heads: (users, numbers) the generated heads.
        head_numbers: what each number of a head is.
    """

    targets: TargetSets
    possible: np.ndarray
    candidates: np.ndarray
    ranks: Mapping[str, np.ndarray]
    figures: Mapping[str, Mapping[str, np.ndarray]]
    log_losses: Mapping[str, np.ndarray]
    recommended: Mapping[str, np.ndarray]
    lists: Mapping[str, np.ndarray]
    hits: np.ndarray
    probabilities: np.ndarray
    basket_sizes: np.ndarray
    list_probabilities: np.ndarray
    heads: np.ndarray
    head_numbers: Sequence[str]

    def __len__(self) -> int:
        return len(self.targets)

    def accuracy(self) -> dict[str, dict[str, float]]:
        """The means over users of all figures, by scorer."""
        return {
            scorer: {name: float(values.mean()) for name, values in own.items()} for scorer, own in self.figures.items()
        }


def measure(
    recommender: Recommender,
    rows: Sequence[FeatureRow],
    targets: Sequence[Target],
    baselines: Mapping[str, Scorer],
    histories: Histories | None = None,
) -> Measured:
    """Measures the model, its shared blend, its experts, the baselines and the controls on the same targets.

    Args:
        recommender: the model under test.
        rows: each evaluated user's context, as of strictly before the target.
        targets: each user's target, an item or a basket.
        baselines: other scorers over the same vocabulary, by name.
        histories: what baselines read instead of the model's contexts; None for the same.

    Raises:
        TrainingError: a score is not finite.
    """
    sets = TargetSets.of(targets, recommender.encoder)
    found = _Arrays(recommender, len(rows), baskets=sets.baskets)
    controls = HeadControls.of(recommender, rows) if len(rows) > 1 else None
    for block in scored_blocks(recommender, rows, baselines, controls, histories):
        found.add(block, sets.within(block.users, block.masked))
    return Measured(
        targets=sets,
        possible=found.possible,
        candidates=found.candidates,
        ranks=found.ranks,
        figures=found.figures,
        log_losses=found.log_losses,
        recommended=found.recommended,
        lists=found.lists,
        hits=found.hits,
        probabilities=found.probabilities,
        basket_sizes=found.basket_sizes,
        list_probabilities=recommender.calibration.list_probabilities(found.probabilities, baskets=sets.baskets),
        heads=np.concatenate(found.heads)[np.argsort(np.concatenate(found.order))],
        head_numbers=found.head_numbers,
    )


class _Arrays:
    """Where each block leaves its users' figures."""

    def __init__(self, recommender: Recommender, users: int, *, baskets: bool) -> None:
        self._recommender, self._users, self._baskets = recommender, users, baskets
        self._n_items = len(recommender.vocabulary)
        self.possible = np.zeros(users, dtype=bool)
        self.candidates = np.zeros(users, dtype=np.int64)
        self.ranks: dict[str, np.ndarray] = {}
        self.figures: dict[str, dict[str, np.ndarray]] = {}
        self.log_losses: dict[str, np.ndarray] = {}
        self.recommended: dict[str, np.ndarray] = {}
        self.lists = {name: np.full((users, LIST_LENGTH), -1, dtype=np.int64) for name in LISTED}
        self.hits = np.zeros((users, LIST_LENGTH), dtype=bool)
        self.probabilities = np.zeros((users, LIST_LENGTH))
        self.basket_sizes = np.ones(users, dtype=np.float32)
        self.heads: list[np.ndarray] = []
        self.order: list[np.ndarray] = []
        self.head_numbers: list[str] = []

    def add(self, block: ScoredBlock, targets: BlockTargets) -> None:
        """Takes in a block."""
        users = block.users
        self.possible[users] = targets.possible.any(1)
        self.candidates[users] = (~block.masked).sum(1).numpy()
        self.heads.append(block.scored.head.flat().numpy())
        self.order.append(users)
        self.head_numbers = self.head_numbers or head_number_names(
            block.scored.head, self._recommender.model.network.names
        )
        for name, scores in block.scores.items():
            self._rank(name, targets.ranks(scores), users)
            if name in LOGITS:
                self._of(self.log_losses, name, np.float64)[users] = targets.log_losses(scores)
            self._list(name, scores.masked_fill(block.masked, -torch.inf), users, block.basket_sizes)
        self.basket_sizes[users] = block.basket_sizes
        self.hits[users] = targets.among(self.lists[MODEL][users])

    def _rank(self, name: str, ranks: np.ndarray, users: np.ndarray) -> None:
        self._of(self.ranks, name, np.int64)[users] = ranks[:, 0]
        figures = basket_figures(ranks) | {"gauc": basket_auc(ranks, self.candidates[users])}
        own = self.figures.setdefault(name, {})
        for figure, values in figures.items():
            if self._baskets or not figure.startswith("recall"):  # of one target recall is the hit rate
                self._of(own, figure, np.float64)[users] = values

    def _list(self, name: str, scores: Tensor, users: np.ndarray, basket_sizes: np.ndarray) -> None:
        length = min(LIST_LENGTH, self._n_items)
        # Which of equal scores makes the list is settled for lists that are kept; of the others only counts are.
        values, columns = top_k(scores, length) if name in LISTED else scores.topk(length, dim=1)
        listed = torch.isfinite(values)
        counts = torch.bincount(columns[listed], minlength=self._n_items).numpy()
        self.recommended[name] = self.recommended.get(name, 0) + counts
        if name in LISTED:
            self.lists[name][users, : columns.shape[1]] = torch.where(listed, columns, -1).numpy()
        if name == MODEL:
            softmax = (values - scores.logsumexp(1, keepdim=True)).exp().numpy()
            calibrated = self._recommender.calibration.probabilities(softmax, basket_sizes)
            self.probabilities[users, : columns.shape[1]] = np.where(listed.numpy(), calibrated, 0.0)

    def _of(self, arrays: dict[str, np.ndarray], name: str, kind: type[np.generic]) -> np.ndarray:
        return arrays.setdefault(name, np.zeros(self._users, dtype=kind))
