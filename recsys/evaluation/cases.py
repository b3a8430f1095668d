"""Prefixes of sequences as evaluation cases: a context, its target, and any scorer's rank and log-loss of it.

The feature store plays no part here: experiments fit and score hundreds of scorers on arrays. What a context holds is
the same (`prefix_contexts`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from scipy import optimize
from torch import Tensor

from recsys.context.batch import ContextBatch
from recsys.context.sequences import Sequences, prefix_contexts
from recsys.evaluation.protocol import MINIMUM_EVENTS, SplitName
from recsys.metrics.ranking import target_ranks
from recsys.ranking.masks import seen_mask

Scorer = Callable[[ContextBatch], Tensor]
"""Contexts to (batch, n_items) float32 scores; column j is item index j + 1."""

HISTORY_LENGTH = 200
_LARGEST_BLOCK = 512
_CELLS = 4_000_000  # scores held at once
_TEMPERATURE_CASES = 1_000


@dataclass(frozen=True, slots=True)
class Cases:
    """Targets to predict, each from the first events of its user.

    Attributes:
        users: (cases,) int64 position of the user in the sequences.
        known: (cases,) int64 how many of that user's first events are the context; the target is the next one unless
            `targets` says otherwise.
        targets: (cases,) int64 item index, 1..n_items.
    """

    users: np.ndarray
    known: np.ndarray
    targets: np.ndarray

    def __len__(self) -> int:
        return len(self.users)

    def take(self, rows: np.ndarray) -> Cases:
        """A selection of the cases."""
        return Cases(self.users[rows], self.known[rows], self.targets[rows])


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What all scorers of a data set rank over.

    Attributes:
        n_items: size of the vocabulary.
        repeats: whether seen items stay in the ranking.
    """

    n_items: int
    repeats: bool


@dataclass(frozen=True, slots=True)
class CaseScores:
    """One scorer on all cases.

    Attributes:
        ranks: (cases,) int64, 0 is best, ties lose; n_items where the target may not be recommended.
        log_loss: (cases,) float32 nats of the target among what may be recommended; the loss of a uniform guess where
            the target may not be.
    """

    ranks: np.ndarray
    log_loss: np.ndarray


@dataclass(frozen=True, slots=True)
class CaseBlock:
    """Some cases as tensors.

    Attributes:
        rows: (batch,) int64 positions in the cases.
        context: their contexts.
        targets: (batch,) int64 column of the target.
        masked: (batch, n_items) bool: what may not be recommended.
        possible: (batch,) bool: the target may be.
    """

    rows: np.ndarray
    context: ContextBatch
    targets: Tensor
    masked: Tensor
    possible: Tensor


def leave_one_out_cases(whole: Sequences, split: SplitName) -> Cases:
    """Each user's last event (test) or the one before it (validation), from all events before it."""
    users = np.flatnonzero(whole.lengths >= MINIMUM_EVENTS)
    known = whole.lengths[users] - (1 if split == "test" else 2)
    return Cases(users, known, whole.items[whole.offsets[users] + known])


def case_blocks(
    whole: Sequences,
    cases: Cases,
    catalogue: Catalogue,
    profile: np.ndarray | None = None,
    history_length: int = HISTORY_LENGTH,
) -> Iterator[CaseBlock]:
    """The cases in order, block by block.

    Args:
        whole: complete sequences.
        cases: what to predict.
        catalogue: what is ranked.
        profile: (users, width) float32 in the order of the sequences; None for no profile.
        history_length: window of the history tensor.
    """
    profile = np.zeros((len(whole), 0), np.float32) if profile is None else profile
    size = max(1, min(_LARGEST_BLOCK, _CELLS // catalogue.n_items))
    for start in range(0, len(cases), size):
        rows = np.arange(start, min(start + size, len(cases)))
        own = cases.take(rows)
        context = prefix_contexts(whole, own.users, own.known, profile, history_length=history_length)
        targets = torch.from_numpy(own.targets - 1)
        seen = seen_mask(context, catalogue.n_items)
        masked = torch.zeros_like(seen) if catalogue.repeats else seen
        yield CaseBlock(rows, context, targets, masked, ~masked.gather(1, targets[:, None])[:, 0])


def score_cases(
    scorer: Scorer,
    whole: Sequences,
    cases: Cases,
    catalogue: Catalogue,
    *,
    profile: np.ndarray | None = None,
    scale: float = 1.0,
    history_length: int = HISTORY_LENGTH,
) -> CaseScores:
    """Ranks and log-loss of every case's target.

    Args:
        scorer: what is judged.
        whole: complete sequences.
        cases: what to predict.
        catalogue: what is ranked.
        profile: (users, width) float32; None for no profile.
        scale: the scores are multiplied with it before the softmax (see `fit_scale`); ranks do not change.
        history_length: window of the history tensor.

    Raises:
        ValueError: a score is not finite.
    """
    ranks = np.full(len(cases), catalogue.n_items, np.int64)
    losses = np.zeros(len(cases), np.float32)
    with torch.no_grad():
        for block in case_blocks(whole, cases, catalogue, profile, history_length):
            scores = scorer(block.context)
            found = target_ranks(scores, block.targets, block.masked)
            ranks[block.rows] = np.where(block.possible.numpy(), found, catalogue.n_items)
            losses[block.rows] = _log_loss(scores * scale, block).numpy()
    return CaseScores(ranks, losses)


def fit_scale(
    scorer: Scorer,
    whole: Sequences,
    cases: Cases,
    catalogue: Catalogue,
    *,
    seed: int = 0,
    history_length: int = HISTORY_LENGTH,
) -> float:
    """The one number that turns a scorer's scores into logits: lowest mean log-loss on up to 1,000 of the cases.

    Args:
        scorer: whose scores mean an order only.
        whole: complete sequences.
        cases: validation cases, never test ones.
        catalogue: what is ranked.
        seed: of the choice of cases.
        history_length: window of the history tensor.
    """
    chosen = np.random.default_rng(seed).permutation(len(cases))[:_TEMPERATURE_CASES]
    sample = cases.take(np.sort(chosen))
    with torch.no_grad():
        kept = [(scorer(block.context), block) for block in case_blocks(whole, sample, catalogue, None, history_length)]
    spread = float(torch.cat([scores.std(1) for scores, _ in kept]).mean()) or 1.0

    def loss(log_scale: float) -> float:
        scale = float(np.exp(log_scale)) / spread
        return sum(float(_log_loss(scores * scale, block).sum()) for scores, block in kept)

    best = optimize.minimize_scalar(loss, bounds=(-7.0, 5.0), method="bounded", options={"xatol": 0.02})
    return float(np.exp(best.x)) / spread


def _log_loss(logits: Tensor, block: CaseBlock) -> Tensor:
    own = logits.gather(1, block.targets[:, None])[:, 0]
    loss = logits.masked_fill(block.masked, -torch.inf).logsumexp(1) - own
    uniform = (~block.masked).sum(1).float().log()
    return torch.where(block.possible, loss, uniform)
