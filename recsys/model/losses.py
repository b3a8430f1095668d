"""What heads are fitted by: the log-loss of the next item and a smooth form of the NDCG that they are judged by."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

_MASKED = -1e9


@dataclass(frozen=True, slots=True)
class RankingLoss:
    """log-loss - weight · soft NDCG, each a mean over targets.

    Log-loss alone gives up the top of the list for the tail; NDCG alone says nothing of probabilities. Soft NDCG is
    1 / log2(2 + r), r the sum over other items of sigmoid((score - target's score) / sharpness).

    Attributes:
        ndcg_weight: of the soft NDCG; 0 leaves the log-loss.
        sharpness: how far apart two scores must be to count as ordered.

    Source: Qin et al., A general approximation framework for direct optimization of IR measures (2010).
    """

    ndcg_weight: float
    sharpness: float

    def __call__(self, scores: Tensor, items: Tensor, masked: Tensor) -> Tensor:
        """The loss.

        Args:
            scores: (batch, n_items) logits.
            items: (batch,) int64 column of each target.
            masked: (batch, n_items) bool, items that cannot be the next one; never the target.
        """
        allowed = scores.masked_fill(masked, _MASKED)
        log_loss = functional.cross_entropy(allowed, items)
        if not self.ndcg_weight:
            return log_loss
        own = allowed.gather(1, items[:, None])
        rank = torch.sigmoid((allowed - own) / self.sharpness).sum(1) - 0.5
        return log_loss - self.ndcg_weight * (1 / torch.log2(rank + 2)).mean()
