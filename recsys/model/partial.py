"""Heads and exact scores without a look at every item: what a model says of some columns of a large catalogue.

Everything is as `PersonalModel.forward` gives it, up to rounding. One context at a time: each has columns of its own.
"""

from __future__ import annotations

import torch
from torch import Tensor

from recsys.context.batch import ContextBatch
from recsys.experts.popularity import PopularityExpert
from recsys.model.personal import Generated, PersonalModel
from recsys.model.scoring import BODY, NOVELTY, ExpertOutputs, on_one_scale


def heads_read_a_part(model: PersonalModel) -> bool:
    """Whether a head can be made without scores of every item: opinions are read off a panel, or not at all."""
    network = model.network
    return network.panel is not None or (network.reads is not None and "opinions" not in network.reads)


class PartialScoring:
    """A model that scores some of its items.

    Args:
        model: the whole one; `heads_read_a_part` has to hold.
    """

    def __init__(self, model: PersonalModel) -> None:
        network = model.network
        self.model = model
        self.network = network
        self._panel = torch.zeros(1, dtype=torch.int64) if network.panel is None else network.panel
        self._panel_items = network.body.items[self._panel + 1]
        self._discovering: list[int] = network.discovers.nonzero()[:, 0].tolist()
        self._sums = {BODY: network.body.items[1:].sum(0, dtype=torch.float64).float()} | {
            name: expert.log_counts.sum(dtype=torch.float64).float()
            for name, expert in network.others.items()
            if isinstance(expert, PopularityExpert)
        }

    @torch.no_grad()
    def generate(self, context: ContextBatch) -> Generated:
        """State and head of a batch of one."""
        states = self.network.body.states(context)
        outputs = self._outputs(context, self._panel, self._panel_items, states)
        told = self.model.statistics(context, outputs)
        inputs = self.model.hypernetwork.inputs(told, outputs.states)
        return Generated(outputs.states, self.model.hypernetwork(inputs, context.any_known))

    @torch.no_grad()
    def scores(self, context: ContextBatch, generated: Generated, columns: Tensor) -> Tensor:
        """(1, columns) logits at some columns, ascending, for a batch of one."""
        bent = self.network.bend(generated.states, generated.head)
        states = generated.states if bent is None else bent
        outputs = self._outputs(context, columns, self.network.body.items[columns + 1], states)
        strength = self.network.strength(generated.head).expand(1, -1)
        return torch.bmm(strength[:, None], outputs.scores)[:, 0]

    def _outputs(self, context: ContextBatch, columns: Tensor, items: Tensor, states: Tensor) -> ExpertOutputs:
        """What the experts say of some columns, ascending, of a batch of one.

        Args:
            context: the batch.
            columns: (columns,) int64.
            items: (columns, width) their vectors.
            states: (1, width) what the body's scores are made from: its own state, or a bent one.
        """
        network = self.network
        raw = [states @ items.T, *(expert.score_at(context, columns) for expert in network.others.values())]
        scaled = on_one_scale(torch.stack(raw, dim=1), network.scales, network.logarithmic)
        if self._discovering:
            new = self._new(context, columns)
            for place in self._discovering:
                scaled[:, place] = (scaled[:, place] - self._mean(context, states, network.names[place])) * new
        return ExpertOutputs(states, scaled)

    def _new(self, context: ContextBatch, columns: Tensor) -> Tensor:
        return self.network.others[NOVELTY].score_at(context, columns)

    def _mean(self, context: ContextBatch, states: Tensor, name: str) -> Tensor:
        """() what an expert says of the items that are new to a context, on average over the catalogue.

        A sum over the catalogue less what is known: of the body and of popularity the sum is one product, of any
        other expert every item is scored once.
        """
        network = self.network
        touched = torch.unique(torch.cat([context.history[context.history > 0], context.seen])) - 1
        known = touched[self._new(context, touched)[0] == 0] if len(touched) else touched
        place = network.names.index(name)
        scale, logarithmic = network.scales[place : place + 1], network.logarithmic[place : place + 1]
        if name == BODY:
            total, left_out = (states @ self._sums[BODY]) / scale, (states @ network.body.items[known + 1].T) / scale
        elif name in self._sums:
            expert = network.others[name]
            total, left_out = self._sums[name] / scale, expert.score_at(context, known) / scale
        else:
            everywhere = on_one_scale(network.others[name].score(context)[:, None], scale, logarithmic)[0, 0]
            total, left_out = everywhere.sum(), everywhere[known]
        return (total - left_out.sum()).squeeze() / max(network.n_items - len(known), 1)
