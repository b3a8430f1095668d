"""Heads and exact scores without a look at every item: what a model says of some columns of a large catalogue.

Everything is as `PersonalModel.forward` gives it, up to rounding. One context at a time: each has columns of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from recsys.context.batch import ContextBatch
from recsys.experts.evidence import Evidence
from recsys.experts.memory import SequenceMemory
from recsys.experts.popularity import PopularityExpert
from recsys.experts.top_weights import TopWeights
from recsys.model.personal import Generated, PersonalModel
from recsys.model.scoring import BODY, NOVELTY, ExpertOutputs, on_one_scale


def heads_read_a_part(model: PersonalModel) -> bool:
    """Whether a head can be made without scores of every item: opinions are read off a panel, or not at all."""
    network = model.network
    return network.panel is not None or (network.reads is not None and "opinions" not in network.reads)


@dataclass(frozen=True, slots=True)
class Heard:
    """One context with what its memories say, which is found once and looked up for every list of columns.

    Attributes:
        context: a batch of one.
        evidence: of `PartialScoring.memories`.
        known: (known,) int64 columns of the items that are not new to it; empty where no expert needs them.
    """

    context: ContextBatch
    evidence: Evidence
    known: Tensor


class PartialScoring:
    """A model that scores some of its items. Columns may come in any order, and more than once.

    Args:
        model: the whole one; `heads_read_a_part` has to hold.

    Attributes:
        memories: those that keep only their largest weights, by the expert's name.
    """

    def __init__(self, model: PersonalModel) -> None:
        network = model.network
        self.model = model
        self.network = network
        self._panel = torch.zeros(1, dtype=torch.int64) if network.panel is None else network.panel
        self._panel_items = network.body.items[self._panel + 1]
        self._discovering: list[int] = network.discovers.nonzero()[:, 0].tolist()
        self.memories = {
            name: expert
            for name, expert in network.others.items()
            if isinstance(expert, SequenceMemory) and isinstance(expert.weights, TopWeights)
        }
        self._sums = {BODY: network.body.items[1:].sum(0, dtype=torch.float64).float()} | {
            name: expert.log_counts.sum(dtype=torch.float64).float()
            for name, expert in network.others.items()
            if isinstance(expert, PopularityExpert)
        }

    @torch.no_grad()
    def hear(self, context: ContextBatch) -> Heard:
        """A batch of one, with what its memories say."""
        evidence = Evidence.summed([memory.addends(context) for memory in self.memories.values()])
        return Heard(context, evidence, self._known(context) if self._discovering else context.seen[:0])

    @torch.no_grad()
    def generate(self, heard: Heard) -> Generated:
        """State and head of one context."""
        states = self.network.body.states(heard.context)
        outputs = ExpertOutputs(states, self._said(heard, self._panel, self._panel_items, states))
        told = self.model.statistics(heard.context, outputs)
        inputs = self.model.hypernetwork.inputs(told, states)
        return Generated(states, self.model.hypernetwork(inputs, heard.context.any_known))

    @torch.no_grad()
    def scores(self, heard: Heard, generated: Generated, columns: Tensor) -> Tensor:
        """(1, columns) logits at some columns."""
        said, strength = self._bent(heard, generated, columns)
        return torch.bmm(strength[:, None], said)[:, 0]

    @torch.no_grad()
    def shares(self, heard: Heard, generated: Generated, columns: Tensor) -> Tensor:
        """(1, experts, columns) what each expert adds to the logits at some columns."""
        said, strength = self._bent(heard, generated, columns)
        return said * strength[:, :, None]

    @torch.no_grad()
    def opinions(self, heard: Heard, states: Tensor, columns: Tensor) -> Tensor:
        """(1, experts, columns) what the experts say before any head, on one scale.

        Args:
            heard: the context.
            states: (1, width) what the body's scores are made from: its own state, or a bent one.
            columns: (columns,) int64.
        """
        return self._said(heard, columns, self.network.body.items[columns + 1], states)

    @torch.no_grad()
    def vectors(self, heard: Heard, columns: Tensor) -> Tensor:
        """(columns, width) what a bent state is multiplied with to get the body's scores, see `opinions`."""
        vectors = self.network.body.items[columns + 1] / self.network.scales[0]
        if 0 not in self._discovering:
            return vectors
        new = self.network.others[NOVELTY].score_at(heard.context, columns)
        return (vectors - self._mean_vector(heard)) * new[0][:, None]

    def _bent(self, heard: Heard, generated: Generated, columns: Tensor) -> tuple[Tensor, Tensor]:
        """(1, experts, columns) what the experts say under a head, and (1, experts) what each weighs."""
        bent = self.network.bend(generated.states, generated.head)
        states = generated.states if bent is None else bent
        return self.opinions(heard, states, columns), self.network.strength(generated.head).expand(1, -1)

    def _said(self, heard: Heard, columns: Tensor, items: Tensor, states: Tensor) -> Tensor:
        """`opinions`, from the (columns, width) vectors of the columns."""
        network, raw = self.network, [states @ items.T]
        remembered = iter(heard.evidence.at(columns).unsqueeze(1))
        for name, expert in network.others.items():
            raw.append(next(remembered) if name in self.memories else expert.score_at(heard.context, columns))
        scaled = on_one_scale(torch.stack(raw, dim=1), network.scales, network.logarithmic)
        if self._discovering:
            new = scaled[:, network.names.index(NOVELTY)].clone()
            for place in self._discovering:
                scaled[:, place] = (scaled[:, place] - self._mean(heard, states, place)) * new
        return scaled

    def _known(self, context: ContextBatch) -> Tensor:
        touched: Tensor = torch.unique(torch.cat([context.history[context.history > 0], context.seen])) - 1
        return touched[self.network.others[NOVELTY].score_at(context, touched)[0] == 0]

    def _mean(self, heard: Heard, states: Tensor, place: int) -> Tensor:
        """() what an expert says of the items that are new to a context, on average over the catalogue.

        It is a sum over the catalogue less what is known. The sums of the body and of popularity are there, memories of
        few weights say nothing of most items, and any other expert scores every item once.
        """
        network, name = self.network, self.network.names[place]
        if name == BODY:
            return (states @ self._mean_vector(heard))[0]
        expert = network.others[name]
        if name in self.memories:
            row = [*self.memories].index(name)
            total = self._scaled(heard.evidence.scores[row], place).sum()
            left_out = self._scaled(heard.evidence.at(heard.known)[row], place)
        elif name in self._sums:
            total = self._sums[name] / network.scales[place]
            left_out = self._scaled(expert.score_at(heard.context, heard.known)[0], place)
        else:
            everywhere = self._scaled(expert.score(heard.context)[0], place)
            total, left_out = everywhere.sum(), everywhere[heard.known]
        return (total - left_out.sum()) / self._n_new(heard)

    def _mean_vector(self, heard: Heard) -> Tensor:
        """(width,) of the items that are new to a context, on the network's scale."""
        known = self.network.body.items[heard.known + 1].sum(0)
        return (self._sums[BODY] - known) / self._n_new(heard) / self.network.scales[0]

    def _n_new(self, heard: Heard) -> int:
        return max(self.network.n_items - len(heard.known), 1)

    def _scaled(self, raw: Tensor, place: int) -> Tensor:
        """One expert's raw scores of one context, as `on_one_scale` makes them."""
        own = slice(place, place + 1)
        return on_one_scale(raw[None, None], self.network.scales[own], self.network.logarithmic[own])[0, 0]
