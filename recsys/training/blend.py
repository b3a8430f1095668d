"""The best shared blend: one set of gains and scales for everybody. What the generator starts from and must beat."""

from __future__ import annotations

import torch
from torch import Tensor

from recsys.errors import TrainingError
from recsys.model.head import HeadWeights
from recsys.model.losses import RankingLoss
from recsys.model.scoring import ScoringNetwork, rescaled
from recsys.training.targets import Prepared

_STEPS = 25
_CHUNK = 500
_REACH = 7.0
"""Scales stay within e^±7 of the first ones: where there is next to nothing to tell them by, they would run away."""


def fit_blend(network: ScoringNetwork, targets: Prepared, loss: RankingLoss) -> tuple[HeadWeights, Tensor]:
    """The gains, and the scales of the logarithmic experts, that minimise the loss for everyone together.

    Args:
        network: the frozen experts with first scales.
        targets: prepared held-out targets, with complete histories.
        loss: what is minimised.

    Returns:
        A head, a batch of one, whose temperature is 1 (it would only rescale the gains), and (experts,) the scales
        that belong to it.

    Raises:
        TrainingError: the experts' scores are not finite.
    """
    n = len(network.names)
    gains = torch.ones(n, requires_grad=True)
    free = torch.zeros(n, requires_grad=True)
    optimizer = torch.optim.LBFGS([gains, free], max_iter=_STEPS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        total = torch.zeros(())
        for rows in torch.split(torch.arange(len(targets)), _CHUNK):
            own = rescaled(targets.scores[rows].float(), _factors(free), network.rescalable)
            scores = torch.einsum("ben,e->bn", own, gains)
            part = loss(scores, targets.items[rows], targets.masked[rows]) * (len(rows) / len(targets))
            part.backward()  # type: ignore[no-untyped-call]
            total += part.detach()
        if not bool(torch.isfinite(total)):
            raise TrainingError(
                "The shared blend's loss is not finite: an expert's scores are not. Nothing was registered. "
                "Lower body_training.learning_rate."
            )
        return total

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    factors = torch.where(network.rescalable, _factors(free.detach()), 1.0)
    return HeadWeights(gains.detach()[None], torch.zeros(1)), network.scales * factors


def _factors(free: Tensor) -> Tensor:
    """(experts,) positive, about e^free near 0 and never beyond reach."""
    return torch.exp(_REACH * torch.tanh(free / _REACH))
