"""Next basket: which events train, which basket is the target, what is known before it.

For data whose schema says `baskets`: events of one user with the same time are one basket. The last month of the data
is for the test: a user's first basket in it is the test target, the last basket before it the validation target, and
the events before the validation target train. Users with fewer than MINIMUM_BASKETS baskets before the last month
train and are not evaluated; neither does anybody's last month train. A context holds the events strictly before its
target. Users come back to their items: nothing is masked. No timestamp of a target is an input.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
import torch
from torch import Tensor

from recsys import columns
from recsys.context.batch import ContextBatch
from recsys.context.sequences import Sequences, prefix_contexts, ragged_ranges
from recsys.errors import DataError
from recsys.evaluation.protocol import SplitName
from recsys.metrics.basket import PADDING, basket_ranks, padded_targets

MINIMUM_BASKETS = 2
_BLOCK = 256


@dataclass(frozen=True, slots=True)
class BasketSplit:
    """Who is evaluated on which basket.

    Attributes:
        name: validation or test.
        user_ids: evaluated users.
        target_items: the distinct item ids of each user's target basket.
        moments: the effective moment of each basket's first event; contexts hold what lies strictly before it.
    """

    name: SplitName
    user_ids: tuple[str, ...]
    target_items: tuple[tuple[str, ...], ...]
    moments: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.user_ids)


@dataclass(frozen=True, slots=True)
class BasketCases:
    """The same in positions of sequences.

    Attributes:
        users: (cases,) int64 position of the user.
        known: (cases,) int64 how many of the user's first events lie before the target basket.
        sizes: (cases,) int64 how many events the basket has.
    """

    users: np.ndarray
    known: np.ndarray
    sizes: np.ndarray

    def __len__(self) -> int:
        return len(self.users)


def next_basket(interactions: pl.DataFrame, name: SplitName) -> BasketSplit:
    """The evaluation split.

    Args:
        interactions: positive events in order, as `recsys.events.ordering.interactions` returns them.
        name: validation or test.

    Raises:
        DataError: no user can be evaluated.
    """
    lengths = interactions.group_by(columns.USER_ID, maintain_order=True).len()["len"].to_numpy().astype(np.int64)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    cases = _cases(offsets, interactions[columns.OCCURRED_AT].to_numpy(), name)
    targets = interactions[ragged_ranges(offsets[cases.users] + cases.known, cases.sizes)]
    baskets = targets.group_by(columns.USER_ID, maintain_order=True).agg(
        pl.col(columns.ITEM_ID).unique(maintain_order=True), pl.col(columns.EFFECTIVE_AT).min()
    )
    return BasketSplit(
        name=name,
        user_ids=tuple(baskets[columns.USER_ID].to_list()),
        target_items=tuple(tuple(items) for items in baskets[columns.ITEM_ID].to_list()),
        moments=tuple(baskets[columns.EFFECTIVE_AT].to_list()),
    )


def basket_cases(sequences: Sequences, name: SplitName) -> BasketCases:
    """The evaluation split over complete sequences.

    Raises:
        DataError: no user can be evaluated.
    """
    return _cases(sequences.offsets, sequences.times, name)


def training_sequences(sequences: Sequences) -> Sequences:
    """The events that may train: those before each evaluated user's validation basket, others' before the last month.

    Args:
        sequences: complete sequences.

    Raises:
        DataError: no user can be evaluated.
    """
    validation = basket_cases(sequences, "validation")
    early = np.concatenate([[0], np.cumsum(sequences.times < _last_month(sequences.times))])
    ends = early[sequences.offsets[1:]] - early[sequences.offsets[:-1]]
    ends[validation.users] = validation.known
    return sequences.without_last(sequences.lengths - ends)


def rank_baskets(
    scorer: Callable[[ContextBatch], Tensor],
    whole: Sequences,
    cases: BasketCases,
    *,
    profile: np.ndarray | None = None,
    history_length: int = 200,
) -> np.ndarray:
    """The ranks of each target basket's items among all items under one scorer; ties lose.

    Args:
        scorer: contexts to (batch, n_items) scores.
        whole: complete sequences.
        cases: what to predict.
        profile: (users, width) float32 in the order of the sequences; None for no profile.
        history_length: window of the history tensor.

    Returns:
        (cases, largest basket) int64, as `basket_ranks` returns them.

    Raises:
        ValueError: a score is not finite.
    """
    profile = np.zeros((len(whole), 0), np.float32) if profile is None else profile
    ranks = np.full((len(cases), int(cases.sizes.max(initial=0))), PADDING, np.int64)
    with torch.no_grad():
        for rows in _blocks(len(cases)):
            users, known = cases.users[rows], cases.known[rows]
            context = prefix_contexts(whole, users, known, profile, history_length=history_length)
            own = basket_ranks(scorer(context), _targets(whole, users, known, cases.sizes[rows]))
            ranks[rows, : own.shape[1]] = own
    return ranks


def _targets(whole: Sequences, users: np.ndarray, known: np.ndarray, sizes: np.ndarray) -> Tensor:
    """(batch, largest basket) score columns of the distinct items of each target basket."""
    items = whole.items[ragged_ranges(whole.offsets[users] + known, sizes)]
    basket = np.repeat(np.arange(len(users)), sizes)
    distinct = np.unique(np.stack([basket, items]), axis=1)
    return padded_targets(distinct[1] - 1, np.bincount(distinct[0], minlength=len(users)))


def _blocks(total: int) -> Iterator[np.ndarray]:
    for start in range(0, total, _BLOCK):
        yield np.arange(start, min(start + _BLOCK, total))


def _cases(offsets: np.ndarray, times: np.ndarray, name: SplitName) -> BasketCases:
    """The target baskets, users one after another; a user's events are in order of time."""
    n_users = len(offsets) - 1
    user_of = np.repeat(np.arange(n_users), np.diff(offsets))
    starts = np.flatnonzero(np.diff(user_of, prepend=-1) | np.diff(times, prepend=times[:1]))
    sizes = np.diff(np.append(starts, len(times)))
    baskets = np.bincount(user_of[starts], minlength=n_users)
    early = times[starts] < _last_month(times) if len(times) else np.zeros(0, bool)
    before = np.bincount(user_of[starts[early]], minlength=n_users)
    evaluated = before >= MINIMUM_BASKETS
    if name == "test":
        evaluated &= baskets > before
    users = np.flatnonzero(evaluated)
    if not len(users):
        raise DataError(
            f"No user has {MINIMUM_BASKETS} baskets before the last month of the data"
            f"{' and one in it' if name == 'test' else ''}: nobody can be evaluated on a next basket. "
            "Import a longer stretch of time."
        )
    first = np.cumsum(baskets) - baskets
    target = first[users] + before[users] - (0 if name == "test" else 1)
    return BasketCases(users, starts[target] - offsets[users], sizes[target])


def _last_month(times: np.ndarray) -> int:
    """The moment one calendar month before the newest event, microseconds."""
    newest = pl.select(pl.lit(int(times.max())).cast(pl.Datetime("us")))
    return int(newest.select(pl.first().dt.offset_by("-1mo").dt.epoch("us")).item())
