"""What the hypernetwork sees beside the body's state: activity, popularity, times, coherence, repetition, opinions.

Every statistic is a function of the context and of shared item tables alone; the target and its time play no part.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from recsys.context.batch import ContextBatch
from recsys.model.coherence import coherence, pairs_of
from recsys.model.head import StatisticGroup
from recsys.model.repetition import repetition
from recsys.model.scoring import ExpertOutputs, ScoringNetwork

_SECOND = 1_000_000
_RECENT = 10
_NO_LENGTH = 1e-6


def context_statistics(
    context: ContextBatch, outputs: ExpertOutputs, network: ScoringNetwork, *, clock: bool
) -> Tensor:
    """Statistics of each context.

    Args:
        context: the batch.
        outputs: the experts' scores of it; of opinions the network's panel is read, where it has one, and scores of
            the panel alone do.
        network: the experts; of them it reads the log popularity, the item vectors, and whether items repeat.
        clock: whether event times are real; without a clock, time statistics are left out.

    Returns:
        (batch, statistics) float32, not yet normalised, of the groups that the network's heads read. Always finite.
    """
    known = context.history > 0
    groups: dict[StatisticGroup, Callable[[], list[Tensor]]] = {
        "activity": lambda: [_activity(context.event_count)],
        "popularity": lambda: _popularity_profile(context.history, known, network.log_popularity),
        "times": lambda: _times(context.times, known) if clock else [],
        "coherence": lambda: [coherence(context.history, network.unit_items)],
        "repetition": lambda: [repetition(context, baskets=network.baskets)] if network.repeats else [],
        "opinions": lambda: _opinions(_heard(outputs.scores, network.panel)),
        "profile": lambda: [context.profile],
    }
    parts = [
        part for name, group in groups.items() if network.reads is None or name in network.reads for part in group()
    ]
    return torch.cat([context.profile[:, :0], *parts], dim=1).float()


def _activity(count: Tensor) -> Tensor:
    return torch.stack([torch.log1p(count), (count == 0).float(), (count <= 3).float(), (count <= 10).float()], dim=1)


def _popularity_profile(history: Tensor, known: Tensor, log_popularity: Tensor) -> list[Tensor]:
    popularity = log_popularity[(history - 1).clamp(min=0)]  # what stands where nothing is known is not read
    parts = []
    for window in (_RECENT, history.shape[1]):
        mean, deviation = _masked_moments(popularity[:, -window:], known[:, -window:])
        parts.append(torch.stack([mean, deviation], dim=1))
    return parts


def _times(times: Tensor, known: Tensor) -> list[Tensor]:
    both = known[:, 1:] & known[:, :-1]
    gaps = torch.log1p((times[:, 1:] - times[:, :-1]).clamp(min=0).double() / _SECOND).float()
    mean, deviation = _masked_moments(gaps, both)
    recent, _ = _masked_moments(gaps[:, -_RECENT:], both[:, -_RECENT:])
    last = torch.where(both[:, -1], gaps[:, -1], 0.0)
    return [torch.stack([mean, deviation, recent, last], dim=1)]


def _heard(scores: Tensor, panel: Tensor | None) -> Tensor:
    return scores if panel is None or scores.shape[2] == len(panel) else scores[:, :, panel]


def _opinions(scores: Tensor) -> list[Tensor]:
    """Entropy, peak and margin of each expert, correlation of each pair."""
    (highest, second), mean = _two_highest(scores), scores.mean(2, keepdim=True)
    probability = torch.softmax(scores, dim=2)
    centred, peak = scores - mean, highest - mean[:, :, 0]
    entropy = peak - torch.log(probability.amax(2)) - torch.linalg.vecdot(probability, centred)
    products = torch.bmm(centred, centred.transpose(1, 2))
    norms = products.diagonal(dim1=1, dim2=2).clamp(min=0).sqrt().clamp(min=_NO_LENGTH)
    one, other = pairs_of(scores.shape[1])
    agreement = products[:, one, other] / (norms[:, one] * norms[:, other])
    return [entropy, peak, highest - second, agreement]


def _two_highest(scores: Tensor) -> tuple[Tensor, Tensor]:
    """(batch, experts) each: the highest score and the next one, which may be as high; twice the same of one item."""
    highest, place = scores.max(2, keepdim=True)
    if scores.shape[2] == 1:
        return highest[:, :, 0], highest[:, :, 0]
    return highest[:, :, 0], scores.scatter(2, place, -torch.inf).amax(2)


def _masked_moments(values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    count = mask.sum(1).clamp(min=1)
    mean = torch.where(mask, values, 0.0).sum(1) / count
    spread = torch.where(mask, (values - mean[:, None]) ** 2, 0.0).sum(1) / count
    return mean, spread.sqrt()
