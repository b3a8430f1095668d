"""What evaluated users should have been recommended: one item each, or the items of a basket, as score columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import torch
from torch import Tensor

from recsys.context.encoder import ContextEncoder
from recsys.metrics.basket import PADDING, basket_log_loss, basket_ranks, padded_targets
from recsys.metrics.ranking import target_ranks

Target = str | tuple[str, ...]
"""An item id, or the distinct item ids of a basket."""


@dataclass(frozen=True, slots=True)
class TargetSets:
    """The targets of some users.

    Attributes:
        columns: (users, most) int64 score columns, PADDING past a user's last; n_items for an item that the model does
            not know.
        n_items: size of the vocabulary.
        baskets: whether targets are baskets, be they of one item.
    """

    columns: np.ndarray
    n_items: int
    baskets: bool

    @classmethod
    def of(cls, targets: Sequence[Target], encoder: ContextEncoder) -> TargetSets:
        """Looks the items up in the encoder's vocabulary."""
        sets = [(target,) if isinstance(target, str) else target for target in targets]
        indices = encoder.item_indices(list(chain.from_iterable(sets)))
        n_items = len(encoder.vocabulary)
        padded = padded_targets(np.where(indices > 0, indices - 1, n_items), np.array([len(own) for own in sets], int))
        return cls(padded.numpy(), n_items, any(not isinstance(target, str) for target in targets))

    def __len__(self) -> int:
        return len(self.columns)

    @property
    def known(self) -> np.ndarray:
        """(total,) int64 columns of all targets that the model knows, of all users."""
        return self.columns[(self.columns >= 0) & (self.columns < self.n_items)]

    def within(self, users: np.ndarray, masked: Tensor) -> BlockTargets:
        """The targets of a block of users.

        Args:
            users: (batch,) int64 positions.
            masked: (batch, n_items) bool: what may not be recommended.
        """
        columns = torch.from_numpy(self.columns[users])
        known = (columns >= 0) & (columns < self.n_items)
        hidden = masked.gather(1, columns.clamp(0, self.n_items - 1))
        lost = (columns != PADDING) & (~known | hidden)
        return BlockTargets(torch.where(lost, self.n_items, columns), masked)


@dataclass(frozen=True, slots=True)
class BlockTargets:
    """The targets of a block of users, and what else is ranked.

    Attributes:
        columns: (batch, most) int64, PADDING past a user's last; n_items where the target cannot be recommended.
        masked: (batch, n_items) bool: what may not be recommended.
    """

    columns: Tensor
    masked: Tensor

    @property
    def possible(self) -> np.ndarray:
        """(batch, most) bool: the target is there and may be recommended."""
        return ((self.columns >= 0) & (self.columns < self.masked.shape[1])).numpy()

    def ranks(self, scores: Tensor) -> np.ndarray:
        """(batch, most) int64 ranks among unmasked items, best target first; see `basket_ranks`."""
        if self.columns.shape[1] > 1:
            return basket_ranks(scores.masked_fill(self.masked, torch.finfo(scores.dtype).min), self.columns)
        # One target each: counting who is ahead takes a fraction of the time that sorting does.
        n_items = scores.shape[1]
        ranks = target_ranks(scores, self.columns[:, 0].clamp(max=n_items - 1), self.masked)
        return np.where(self.possible, ranks[:, None], n_items)

    def among(self, lists: np.ndarray) -> np.ndarray:
        """(batch, length) bool: which of the listed columns, -1 where there is none, are targets.

        Args:
            lists: (batch, length) int64 columns.
        """
        n_items = self.masked.shape[1]
        member = np.zeros((len(lists), n_items + 2), dtype=bool)
        member[np.arange(len(lists))[:, None], self.columns.numpy()] = True  # -1 is the last of the two spare columns
        member[:, n_items:] = False
        return np.take_along_axis(member, lists, axis=1)

    def log_losses(self, scores: Tensor) -> np.ndarray:
        """(batch,) nats; infinite where no target can be recommended. See `basket_log_loss`."""
        return basket_log_loss(scores.masked_fill(self.masked, -torch.inf), self.columns)
