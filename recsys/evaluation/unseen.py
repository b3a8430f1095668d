"""The protocol `unseen`: users that no fit knew, with their first few events as context.

Each seed holds out another tenth of the users. The same cases are scored a second time under a model that had these
users in training, and compared pair by pair. For a few events as context that model was fitted on the very target; only
with all events as context is the comparison free of that, so only there it is a claim.
"""

from __future__ import annotations

import numpy as np

from recsys.context.sequences import Sequences
from recsys.evaluation.cases import Cases, leave_one_out_cases
from recsys.evaluation.protocol import SplitName
from recsys.metrics.ranking import ndcg

ALL = None
CONTEXT_LENGTHS: tuple[int | None, ...] = (0, 1, 3, 5, 10, ALL)
SHARES = 10
_ORDER_SEED = 20_261


def held_out_users(n_users: int, seed: int, *, shares: int = SHARES) -> np.ndarray:
    """(held,) sorted int64 positions of the users that seed number `seed` holds out; no user is in two seeds' shares.

    Args:
        n_users: how many there are.
        seed: 0 to shares - 1.
        shares: how many shares the users are cut into.

    Raises:
        ValueError: there is no such share.
    """
    if not 0 <= seed < shares:
        raise ValueError(f"Seed {seed} holds out nobody: with shares of one in {shares}, seeds are 0 to {shares - 1}.")
    order = np.random.default_rng(_ORDER_SEED).permutation(n_users)
    return np.sort(np.array_split(order, shares)[seed])


def without_users(sequences: Sequences, users: np.ndarray) -> Sequences:
    """The sequences without the events of these users; they stay, empty, so that positions mean the same."""
    gone = np.zeros(len(sequences), dtype=bool)
    gone[users] = True
    return sequences.keep(np.repeat(~gone, sequences.lengths))


def unseen_cases(whole: Sequences, users: np.ndarray, known: int | None, split: SplitName) -> Cases:
    """The first `known` events of each of these users as context and the next as target; ALL is leave-one-out.

    Args:
        whole: complete sequences.
        users: (users,) int64 positions.
        known: events of context, or ALL for all before the split's leave-one-out target.
        split: a target later than this split's leave-one-out target is left out, so validation never meets a test
            target.

    Returns:
        Cases of those users who have enough events, in the order of the sequences.
    """
    last = leave_one_out_cases(whole, split)
    last = last.take(np.flatnonzero(np.isin(last.users, users)))
    if known is ALL:
        return last
    enough = last.take(np.flatnonzero(last.known >= known))
    lengths = np.full(len(enough), known, np.int64)
    return Cases(enough.users, lengths, whole.items[whole.offsets[enough.users] + lengths])


def context_name(known: int | None) -> str:
    """What reports call a context of so many events."""
    return "all" if known is ALL else str(known)


def relative_loss(unseen_ranks: np.ndarray, warm_ranks: np.ndarray, k: int = 10) -> float:
    """By what share NDCG@k is lower for unseen users than for the same users in training; negative when higher.

    Args:
        unseen_ranks: (users,) ranks under models without these users.
        warm_ranks: (users,) ranks of the same targets under models with them.
        k: cutoff.
    """
    warm = float(ndcg(warm_ranks, k).mean())
    return float("nan") if warm == 0 else 1 - float(ndcg(unseen_ranks, k).mean()) / warm


def relative_loss_interval(
    unseen_ranks: np.ndarray, warm_ranks: np.ndarray, k: int = 10, *, resamples: int = 2_000, seed: int = 0
) -> tuple[float, float]:
    """The 95 % percentile bootstrap interval of `relative_loss` over users, both of whose ranks are drawn together.

    Args:
        unseen_ranks: (users,) ranks under models without these users.
        warm_ranks: (users,) ranks of the same targets under models with them.
        k: cutoff.
        resamples: how many.
        seed: of the draw.
    """
    draw, users = np.random.default_rng(seed), len(warm_ranks)
    cold, warm = ndcg(unseen_ranks, k), ndcg(warm_ranks, k)
    losses = np.empty(resamples)
    for turn in range(resamples):
        weight = np.bincount(draw.integers(0, users, users), minlength=users)
        losses[turn] = 1 - (weight @ cold) / (weight @ warm) if weight @ warm > 0 else np.nan
    low, high = np.nanpercentile(losses, (2.5, 97.5)) if np.isfinite(losses).any() else (np.nan, np.nan)
    return float(low), float(high)
