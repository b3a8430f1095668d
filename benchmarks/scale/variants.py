"""The same fitted model in other forms: memories of which every row keeps its largest weights, a body in bfloat16."""

from __future__ import annotations

import torch
from torch import Tensor

from recsys.context.batch import ContextBatch
from recsys.experts.body import BodyExpert
from recsys.experts.long_term import LongTermMemory
from recsys.experts.memory import SequenceMemory
from recsys.experts.protocol import Expert
from recsys.experts.top_weights import TopWeights
from recsys.model.personal import PersonalModel, expert_specs
from recsys.model.scoring import ScoringNetwork
from recsys.ranking.recommender import Recommender


class NarrowBody(BodyExpert):
    """A body that multiplies in bfloat16; its states come back as float32."""

    @torch.no_grad()
    def states(self, context: ContextBatch) -> Tensor:
        """See `BodyExpert.states`."""
        with torch.autocast("cpu", torch.bfloat16):
            states = super().states(context)
        return states.float()


def sparse(recommender: Recommender, top: int) -> Recommender:
    """The recommender with memories that keep `top` weights a row.

    A long-term memory with a decay scores as a sequence memory over the whole history tensor does, and becomes one.
    """
    network, length = recommender.model.network, recommender.encoder.history_length
    others = {name: _sparse(expert, top, length) for name, expert in network.others.items()}
    return _with(recommender, network.replaced(others=others))


def narrow(recommender: Recommender) -> Recommender:
    """The recommender with a body that multiplies in bfloat16."""
    network = recommender.model.network
    body = NarrowBody(network.body.encoder, network.body.items)
    return _with(
        recommender,
        ScoringNetwork(
            body,
            network.others,
            network.scales,
            network.bases,
            network.discovery,
            network.reads,
            network.panel_size,
        ),
    )


def _sparse(expert: Expert, top: int, length: int) -> Expert:
    if isinstance(expert, SequenceMemory) and isinstance(expert.weights, Tensor):
        return SequenceMemory(TopWeights.of(expert.weights, top), expert.decays, expert.windows)
    if isinstance(expert, LongTermMemory) and expert.decay < 1:
        return SequenceMemory(TopWeights.of(expert.weights[None], top), [expert.decay], [length])
    return expert


def _with(recommender: Recommender, network: ScoringNetwork) -> Recommender:
    was = recommender.model
    config = was.config.model_copy(update={"experts": expert_specs(network)})
    model = PersonalModel(config, network, was.hypernetwork, was.shared)
    return Recommender(model, recommender.encoder, recommender.schema, recommender.calibration, recommender.version)
