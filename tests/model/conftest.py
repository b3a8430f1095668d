"""A small scoring network with every expert, and contexts to score."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from recsys.context.batch import ContextBatch
from recsys.experts.body import BodyConfig, BodyExpert, SequenceEncoder
from recsys.experts.long_term import LongTermMemory
from recsys.experts.memory import SequenceMemory
from recsys.experts.popularity import PopularityExpert
from recsys.model.head import HeadConfig, HeadWeights
from recsys.model.hypernetwork import Hypernetwork
from recsys.model.personal import POPULARITY, ModelConfig, PersonalModel, expert_specs
from recsys.model.scoring import ScoringNetwork, expert_scales
from recsys.model.statistics import context_statistics

N_ITEMS, WIDTH, RANK = 12, 8, 3
BODY = BodyConfig(width=WIDTH, layers=1, heads=1, length=6)
KINDS = ("gains", "film", "lowrank", "full")


@pytest.fixture(scope="session")
def contexts():
    """Makes contexts out of one list of item indices a user, oldest first, an hour between events."""

    def make(*histories: list[int], length: int = 8) -> ContextBatch:
        padded = [[0] * (length - len(own[-length:])) + own[-length:] for own in histories]
        seen = [list(dict.fromkeys(own)) for own in histories]
        history = torch.tensor(padded, dtype=torch.int64).reshape(len(histories), length)
        hours = 1_700_000_000_000_000 + torch.arange(length) * 3_600_000_000
        return ContextBatch(
            history=history,
            times=torch.where(history > 0, hours, 0),
            values=(history > 0).float(),
            seen=torch.tensor([item for own in seen for item in own], dtype=torch.int64),
            seen_offsets=torch.tensor(np.concatenate([[0], np.cumsum([len(own) for own in seen])]), dtype=torch.int64),
            profile=torch.zeros(len(histories), 0),
            event_count=torch.tensor([float(len(own)) for own in histories]),
            moment=torch.zeros(len(histories), dtype=torch.int64),
        )

    return make


@pytest.fixture(scope="session")
def network(contexts) -> ScoringNetwork:
    """Every expert with random weights."""
    torch.manual_seed(1)
    items = torch.randn(N_ITEMS + 1, WIDTH)
    memory, long_term = torch.randn(2, N_ITEMS + 1, N_ITEMS), torch.randn(N_ITEMS + 1, N_ITEMS)
    for tensor in (items, memory[0], memory[1], long_term):
        tensor[0] = 0
    body = BodyExpert(SequenceEncoder(BODY), items)
    others = {
        "memory": SequenceMemory(memory, (0.5, 0.9), (2, 6)),
        "long_term": LongTermMemory(long_term, 1.0),
        POPULARITY: PopularityExpert(torch.rand(N_ITEMS) * 5),
    }
    scales = expert_scales(body, others, contexts([1, 2], [3, 4, 5], [6]))
    return ScoringNetwork(body, others, scales, torch.randn(2, WIDTH, RANK))


@pytest.fixture(scope="session")
def model(network, contexts):
    """Makes a model of a kind of head; `noise` moves the generator away from the shared head."""

    def make(kind: str = "lowrank", *, noise: float = 0.3, clock: bool = True) -> PersonalModel:
        torch.manual_seed(2)
        head = HeadConfig(kind=kind, rank=RANK, hidden=8)
        shared = HeadWeights(torch.tensor([[1.0, 0.5, 2.0, 0.1]]), torch.tensor([0.2]))
        sample = contexts([1, 2, 3], [4], [5, 6], [7, 8, 9, 1], [])
        outputs = network.outputs(sample)
        statistics = context_statistics(sample, outputs, network, clock=clock)
        hypernetwork = Hypernetwork(head, statistics.shape[1], len(network.names), WIDTH)
        hypernetwork.start_from(hypernetwork.inputs(statistics, outputs.states), shared)
        last = hypernetwork.network[-1]
        torch.nn.init.normal_(last.weight, std=noise)
        config = ModelConfig(
            clock=clock,
            body=BODY,
            head=head,
            experts=expert_specs(network),
            n_statistics=statistics.shape[1],
        )
        return PersonalModel(config, network, hypernetwork, shared)

    return make
