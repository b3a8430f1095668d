"""The scoring network that all users share: experts side by side, brought to one scale, steered by head weights."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import groupby
from math import inf

import torch
from torch import Tensor

from recsys.context.batch import ContextBatch
from recsys.experts.body import BodyExpert
from recsys.experts.long_term import LongTermMemory
from recsys.experts.memory import SequenceMemory
from recsys.experts.novelty import NoveltyExpert
from recsys.experts.popularity import PopularityExpert
from recsys.experts.protocol import Expert
from recsys.model.coherence import unit_vectors
from recsys.model.head import HeadWeights

BODY = "body"
NOVELTY = NoveltyExpert.kind
POPULARITY = PopularityExpert.kind
_NO_SPREAD = 1e-6
_EVERY_ONE = slice(None)


@dataclass(frozen=True, slots=True)
class ExpertOutputs:
    """What the experts say of a batch of contexts, before any head.

    Attributes:
        states: (batch, width) the body's state.
        scores: (batch, experts, n_items) scores on one scale, experts in the network's order, the body first.
        others: (batch, experts - 1, n_items) those of the experts beside the body, in a tensor of their own; None: they
            are read from `scores`.
    """

    states: Tensor
    scores: Tensor
    others: Tensor | None = None

    @property
    def beside_body(self) -> Tensor:
        """(batch, experts - 1, n_items) what the experts beside the body say."""
        return self.scores[:, 1:] if self.others is None else self.others


class ScoringNetwork:
    """The experts together.

    Args:
        body: the neural expert; head weights may act on its state.
        others: the other experts by name, in a fixed order.
        scales: (experts,) float32 positive; see `on_one_scale`.
        bases: (2, width, rank) shared bases U and V of the low-rank head.
        discovery: experts that speak only of items new to the user, relative to the mean of these; without an expert
            `novelty`, which knows them, every item is new.
        reads: groups of context statistics that heads are made from; None: all.
        panel: of how many of the most popular items opinions are read; None: of all.
    """

    def __init__(
        self,
        body: BodyExpert,
        others: Mapping[str, Expert],
        scales: Tensor,
        bases: Tensor,
        discovery: Collection[str] = (),
        reads: Collection[str] | None = None,
        panel: int | None = None,
    ) -> None:
        self.body = body
        self.others = dict(others)
        self.scales = scales
        self.bases = bases
        self.discovery = tuple(discovery)
        self.reads = None if reads is None else frozenset(reads)
        self.panel_size = panel
        self.panel = None if panel is None else panel_of(self.log_popularity, panel)
        self.names = (BODY, *self.others)
        there = NOVELTY in self.others
        self._novelty = self.names.index(NOVELTY) if there else None
        self.discovers = torch.tensor([there and name in discovery for name in self.names])
        self.unit_items = unit_vectors(body.items)
        self.logarithmic = torch.tensor([expert.logarithmic for expert in (body, *self.others.values())])
        self.rescalable = self.logarithmic & ~self.discovers
        self._body_discovers, *discovering = self.discovers.tolist()
        self._discovering = [place for place, discovers in enumerate(discovering, start=1) if discovers]

    def replaced(self, *, others: Mapping[str, Expert] | None = None, scales: Tensor | None = None) -> ScoringNetwork:
        """The same network with other experts beside the body, or at other scales."""
        return ScoringNetwork(
            self.body,
            self.others if others is None else others,
            self.scales if scales is None else scales,
            self.bases,
            self.discovery,
            self.reads,
            self.panel_size,
        )

    def in_blocks(self, room: int | None = None) -> ScoringNetwork:
        """The same network for many contexts at once: its memories' dense weights are copied into blocks of columns.

        Args:
            room: bytes that the copies may take; memories that do not fit into what is left stay as they are. None: any
                number.
        """
        others, left = dict(self.others), inf if room is None else room
        for name, expert in self.others.items():
            if isinstance(expert, SequenceMemory | LongTermMemory) and expert.bytes_in_blocks <= left:
                left -= expert.bytes_in_blocks
                others[name] = expert.in_blocks()
        return self.replaced(others=others)

    @property
    def width(self) -> int:
        """Size of the body's state."""
        return self.body.items.shape[1]

    @property
    def repeats(self) -> bool:
        """Whether what a user knows may be next, as where an expert tells new items from known ones."""
        return self._novelty is not None

    @property
    def baskets(self) -> bool:
        """Whether events of equal times are one basket."""
        return self.body.encoder.config.baskets

    @property
    def n_items(self) -> int:
        """Items in the vocabulary."""
        return self.body.items.shape[0] - 1

    @property
    def said_alone(self) -> tuple[str, ...]:
        """What each expert's row of `ExpertOutputs.scores` is, for people."""
        return tuple(
            f"{name} of new items" if discovers else name
            for name, discovers in zip(self.names, self.discovers.tolist(), strict=True)
        )

    @property
    def log_popularity(self) -> Tensor:
        """(n_items,) log popularity."""
        return self.others[POPULARITY].tensors()["log_counts"]

    @torch.no_grad()
    def check(self) -> None:
        """Scores a context of one event, of the last item, with every expert.

        Raises:
            RuntimeError: an expert fails on it, or scores another number of items than the body.
        """
        context = _one_event(self.n_items)
        for name, expert in self.others.items():
            shape = tuple(expert.score(context).shape)
            if shape != (1, self.n_items):
                raise RuntimeError(f"the expert '{name}' scores {shape[-1]} items and the body {self.n_items}")

    @torch.no_grad()
    def outputs(self, context: ContextBatch) -> ExpertOutputs:
        """Runs every expert once."""
        states, others = self.body.states(context), self.others_say(context)
        scores = torch.cat([self._body_says(states, others)[:, None], others], dim=1)
        return ExpertOutputs(states, scores, others)

    @torch.no_grad()
    def others_say(self, context: ContextBatch) -> Tensor:
        """(batch, experts - 1, n_items) scores on one scale of every expert but the body."""
        scores = torch.stack([expert.score(context) for expert in self.others.values()], dim=1)
        scaled = on_one_scale(scores, self.scales[1:], self.logarithmic[1:])
        if self._novelty is not None:
            new = scaled[:, self._novelty - 1].clone()
            for place in self._discovering:
                scaled[:, place - 1] = _of_new_items(scaled[:, place - 1], new)
        return scaled

    @torch.no_grad()
    def score_again(self, states: Tensor, others: Tensor, head: HeadWeights) -> Tensor:
        """(batch, n_items) logits, from what is known already: neither the body nor another expert runs.

        Args:
            states: (batch, width) the body's.
            others: what `others_say` gave.
            head: of each context.
        """
        bent = self.bend(states, head)
        return self._blended(self._body_says(states if bent is None else bent, others), others, head)

    def _blended(self, body: Tensor, others: Tensor, head: HeadWeights) -> Tensor:
        strength = self.strength(head).expand(len(body), -1)
        return torch.bmm(strength[:, None, 1:], others)[:, 0] + strength[:, :1] * body

    def _body_says(self, states: Tensor, others: Tensor) -> Tensor:
        """(batch, n_items) on the common scale."""
        scores: Tensor = (states @ self.body.items[1:].T) / self.scales[0]
        if self._novelty is None or not self._body_discovers:
            return scores
        return _of_new_items(scores, others[:, self._novelty - 1])

    def score(self, outputs: ExpertOutputs, head: HeadWeights) -> Tensor:
        """(batch, n_items) logits: the gained experts, summed, over the temperature."""
        bent, others = self.bend(outputs.states, head), outputs.beside_body
        body = outputs.scores[:, 0] if bent is None else self._body_says(bent, others)
        return self._blended(body, others, head)

    def shares(self, outputs: ExpertOutputs, head: HeadWeights, columns: Tensor | slice = _EVERY_ONE) -> Tensor:
        """(batch, experts, columns): each expert's part of the logits, of all items or some; they sum to `score`."""
        scores = outputs.scores[:, :, columns]
        bent = self.bend(outputs.states, head)
        if bent is not None:
            body = self.body_scores(bent, outputs)[:, columns]
            scores = torch.cat([body[:, None], scores[:, 1:]], dim=1)
        return scores * self.strength(head)[:, :, None]

    def body_scores(self, states: Tensor, outputs: ExpertOutputs) -> Tensor:
        """(batch, n_items) what the body says from states other than its own, on the network's scale.

        Args:
            states: (batch, width).
            outputs: the experts' say of the same contexts; it tells which items are new.
        """
        return self._body_says(states, outputs.beside_body)

    def new_items(self, outputs: ExpertOutputs) -> Tensor | None:
        """(batch, n_items) which items the body speaks of, 1 where it does; None where it speaks of all alike."""
        if self._novelty is None or not self._body_discovers:
            return None
        return outputs.scores[:, self._novelty]

    @staticmethod
    def strength(head: HeadWeights) -> Tensor:
        """(batch, experts) what each expert's scores weigh in the logits."""
        return head.gains * torch.exp(-head.log_temperature)[:, None]

    def bend(self, states: Tensor, head: HeadWeights) -> Tensor | None:
        """(batch, width) the states as a head changes them; None where its kind leaves them alone."""
        if head.film is None:
            return None
        bent = states * (1 + head.film)
        if head.core is not None:
            left, right = self.bases
            bent = bent + torch.bmm(head.core, (states @ right)[:, :, None])[:, :, 0] @ left.T
        if head.offset is not None:
            bent = bent + head.offset
        return bent


def panel_of(log_popularity: Tensor, size: int) -> Tensor | None:
    """(size,) int64 columns of the most popular items, ascending; None where all items are no more than that."""
    if size >= len(log_popularity):
        return None
    return log_popularity.sort(descending=True, stable=True).indices[:size].sort().values


def on_one_scale(scores: Tensor, scales: Tensor, logarithmic: Tensor) -> Tensor:
    """Expert scores as logits that can be added.

    Scores that are logits are divided by their scale. Scores that estimate probabilities become evidence,
    log(1 + s / scale), and none where s is not positive: a sum of probabilities would be at the mercy of the few
    largest, and a softmax of one puts far too little on its best items.

    Args:
        scores: (batch, experts, n_items) raw.
        scales: (experts,) positive.
        logarithmic: (experts,) bool, which of them estimate probabilities.

    Returns:
        (batch, experts, n_items) float32.
    """
    said = scores / scales[:, None]
    start = 0
    for is_logarithmic, side_by_side in groupby(logarithmic.tolist()):
        end = start + len(list(side_by_side))
        if is_logarithmic:
            said[:, start:end].clamp_(min=0).log1p_()  # in place: a copy of all scores costs more than the logarithms
        start = end
    return said


def rescaled(scores: Tensor, factors: Tensor, logarithmic: Tensor) -> Tensor:
    """What `on_one_scale` would have given with scales times `factors` for the logarithmic experts.

    Args:
        scores: (batch, experts, n_items) as `on_one_scale` returns them.
        factors: (experts,) positive; those of experts that are not logarithmic play no part.
        logarithmic: (experts,) bool.
    """
    # What is not evidence is left out before expm1: where() alone would let its overflow into the gradient as NaN.
    evidence = torch.where(logarithmic[:, None], scores, 0.0)
    return torch.where(logarithmic[:, None], torch.log1p(torch.expm1(evidence) / factors[:, None]), scores)


def _of_new_items(scores: Tensor, new: Tensor) -> Tensor:
    """Scores relative to their mean over new items, and nothing for the others.

    Args:
        scores: (..., n_items).
        new: (..., n_items) 1 where an item is new, 0 elsewhere; may broadcast.
    """
    mean = (scores * new).sum(-1, keepdim=True) / new.sum(-1, keepdim=True).clamp(min=1)
    return (scores - mean) * new


def expert_scales(body: BodyExpert, others: Mapping[str, Expert], sample: ContextBatch) -> Tensor:
    """(experts,) float32: the standard deviation over items of each expert's scores, averaged over a sample.

    An expert that tells no item from another has scale 1, so that its rounding errors are not blown up.
    """
    everyone: list[Expert] = [body, *others.values()]
    with torch.no_grad():
        spread = torch.stack([expert.score(sample).std(dim=1).mean() for expert in everyone])
    said_as_it_is = torch.tensor([isinstance(expert, NoveltyExpert) for expert in everyone])
    return torch.where((spread > _NO_SPREAD) & ~said_as_it_is, spread, 1.0)


def _one_event(item: int) -> ContextBatch:
    one = torch.ones(1, 1)
    return ContextBatch(
        history=torch.tensor([[item]]),
        times=torch.zeros(1, 1, dtype=torch.int64),
        values=one,
        seen=torch.tensor([item]),
        seen_offsets=torch.tensor([0, 1]),
        profile=torch.zeros(1, 0),
        event_count=one[0],
        moment=torch.zeros(1, dtype=torch.int64),
    )
