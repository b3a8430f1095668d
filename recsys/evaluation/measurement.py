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
    ScoredBlock,
    block_targets,
    ranks_or_last,
    scored_blocks,
)
from recsys.evaluation.head_controls import MEAN_HEAD, OTHERS_HEAD, HeadControls, head_number_names
from recsys.metrics.ranking import ranking_metrics, target_log_loss, user_auc
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
        targets: (users,) int64 column of the target, -1 where the model does not know it.
        possible: (users,) bool: the target may be recommended at all.
        candidates: (users,) int64 unmasked items.
        ranks: (users,) int64 by scorer.
        log_losses: (users,) nats, by scorer whose scores are logits; infinite where the target is not possible.
        recommended: (n_items,) int64 by scorer: in how many top-10 lists an item is.
        lists: (users, 10) int64 columns of the top-10, by scorer that is listed; -1 where fewer may be recommended.
        probabilities: (users, 10) calibrated probability of each item of the model's list, 0 past its end.
        heads: (users, numbers) the generated heads.
        head_numbers: what each number of a head is.
    """

    targets: np.ndarray
    possible: np.ndarray
    candidates: np.ndarray
    ranks: Mapping[str, np.ndarray]
    log_losses: Mapping[str, np.ndarray]
    recommended: Mapping[str, np.ndarray]
    lists: Mapping[str, np.ndarray]
    probabilities: np.ndarray
    heads: np.ndarray
    head_numbers: Sequence[str]

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def hits(self) -> np.ndarray:
        """(users, 10) bool: which item of the model's list is the target."""
        hit: np.ndarray = self.lists[MODEL] == np.where(self.possible, self.targets, -2)[:, None]
        return hit

    def accuracy(self) -> dict[str, dict[str, float]]:
        """NDCG@k, HR@k, MRR and GAUC by scorer."""
        return {
            name: {**ranking_metrics(own), "gauc": float(user_auc(own, self.candidates).mean())}
            for name, own in self.ranks.items()
        }


def measure(
    recommender: Recommender,
    rows: Sequence[FeatureRow],
    target_items: Sequence[str],
    baselines: Mapping[str, Scorer],
) -> Measured:
    """Measures the model, its shared blend, its experts, the baselines and the controls on the same targets.

    Args:
        recommender: the model under test.
        rows: each evaluated user's context, as of strictly before the target.
        target_items: each user's target.
        baselines: other scorers over the same vocabulary, by name.

    Raises:
        TrainingError: a score is not finite.
    """
    indices = recommender.encoder.item_indices(target_items)
    found = _Arrays(recommender, len(rows))
    controls = HeadControls.of(recommender, rows) if len(rows) > 1 else None
    for block in scored_blocks(recommender, rows, baselines, controls):
        targets, possible = block_targets(indices, block)
        found.add(block, targets, possible)
    return Measured(
        targets=indices - 1,
        possible=found.possible,
        candidates=found.candidates,
        ranks=found.ranks,
        log_losses=found.log_losses,
        recommended=found.recommended,
        lists=found.lists,
        probabilities=found.probabilities,
        heads=np.concatenate(found.heads)[np.argsort(np.concatenate(found.order))],
        head_numbers=found.head_numbers,
    )


class _Arrays:
    """Where each block leaves its users' figures."""

    def __init__(self, recommender: Recommender, users: int) -> None:
        self._recommender, self._users = recommender, users
        self._n_items = len(recommender.vocabulary)
        self.possible = np.zeros(users, dtype=bool)
        self.candidates = np.zeros(users, dtype=np.int64)
        self.ranks: dict[str, np.ndarray] = {}
        self.log_losses: dict[str, np.ndarray] = {}
        self.recommended: dict[str, np.ndarray] = {}
        self.lists = {name: np.full((users, LIST_LENGTH), -1, dtype=np.int64) for name in LISTED}
        self.probabilities = np.zeros((users, LIST_LENGTH))
        self.heads: list[np.ndarray] = []
        self.order: list[np.ndarray] = []
        self.head_numbers: list[str] = []

    def add(self, block: ScoredBlock, targets: Tensor, possible: np.ndarray) -> None:
        """Takes in a block."""
        users = block.users
        self.possible[users] = possible
        self.candidates[users] = (~block.masked).sum(1).numpy()
        self.heads.append(block.scored.head.flat().numpy())
        self.order.append(users)
        self.head_numbers = self.head_numbers or head_number_names(
            block.scored.head, self._recommender.model.network.names
        )
        for name, scores in block.scores.items():
            self._of(self.ranks, name, np.int64)[users] = ranks_or_last(scores, targets, block.masked, possible)
            if name in LOGITS:
                losses = target_log_loss(scores, targets, block.masked)
                self._of(self.log_losses, name, np.float64)[users] = np.where(possible, losses, np.inf)
            self._list(name, scores.masked_fill(block.masked, -torch.inf), users)

    def _list(self, name: str, scores: Tensor, users: np.ndarray) -> None:
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
            calibrated = self._recommender.calibration.probabilities(softmax)
            self.probabilities[users, : columns.shape[1]] = np.where(listed.numpy(), calibrated, 0.0)

    def _of(self, arrays: dict[str, np.ndarray], name: str, kind: type[np.generic]) -> np.ndarray:
        return arrays.setdefault(name, np.zeros(self._users, dtype=kind))
