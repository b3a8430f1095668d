"""A small real model with random weights behind the service, for what a fake ranker cannot show."""

from __future__ import annotations

from functools import cache

import polars as pl
import torch

from recsys.context.batch import FeatureRow
from recsys.context.encoder import ContextEncoder
from recsys.context.profile import ProfileEncoding
from recsys.data.schema import WorkspaceSchema
from recsys.experts.body import BodyConfig, BodyExpert, SequenceEncoder
from recsys.experts.long_term import LongTermMemory
from recsys.experts.memory import SequenceMemory
from recsys.experts.novelty import NoveltyExpert
from recsys.experts.popularity import PopularityExpert
from recsys.model.calibration import Calibration, Line
from recsys.model.head import HeadConfig, HeadWeights
from recsys.model.hypernetwork import Hypernetwork
from recsys.model.personal import POPULARITY, ModelConfig, PersonalModel, expert_specs
from recsys.model.scoring import ScoringNetwork
from recsys.model.statistics import context_statistics
from recsys.ranking.recommender import Recommender

VOCABULARY = tuple(f"m{n}" for n in range(24))
N, WIDTH, RANK = len(VOCABULARY), 8, 3
SCHEMA = WorkspaceSchema(
    name="films",
    user_columns={"age": "numeric"},
    item_columns={"title": "text", "year": "numeric", "genres": "list", "studio": "categorical"},
    title="title",
)
GENRES = ("Comedy", "Drama", "Horror")
CATALOGUE = pl.DataFrame(
    {
        "item_id": [*VOCABULARY, "untrained"],
        "title": [*(f"Film {n}" for n in range(N - 1)), None, "A New One"],
        "year": [*(1980.0 + n for n in range(N - 1)), None, 2026.0],
        "genres": [*([GENRES[n % 3], GENRES[(n + 1) % 3]] if n % 4 else [GENRES[n % 3]] for n in range(N)), ["Comedy"]],
        "studio": [*("Ufa" if n % 2 else "Gaumont" for n in range(N)), "Ufa"],
    },
    schema=SCHEMA.items_frame_schema(),
)


@cache
def small_recommender(kind: str = "lowrank", *, discovery: bool = False) -> Recommender:
    """A model of that kind of head.

    Args:
        kind: gains, film, lowrank or full.
        discovery: items repeat, and the body speaks of new ones only.
    """
    torch.manual_seed(11)
    encoder = SequenceEncoder(BodyConfig(width=WIDTH, layers=1, heads=1, length=6))
    items, memory, long_term = torch.randn(N + 1, WIDTH), torch.randn(1, N + 1, N), torch.randn(N + 1, N)
    for padded in (items, memory[0], long_term):
        padded[0] = 0
    others = {
        "memory": SequenceMemory(memory, (0.6,), (5,)),
        "long_term": LongTermMemory(long_term, 1.0),
        **({"novelty": NoveltyExpert(N)} if discovery else {}),
        POPULARITY: PopularityExpert(torch.rand(N) * 3),
    }
    experts = 1 + len(others)
    network = ScoringNetwork(
        BodyExpert(encoder, items),
        others,
        0.5 + torch.rand(experts),
        torch.randn(2, WIDTH, RANK),
        ("body",) if discovery else (),
    )
    contexts = ContextEncoder(VOCABULARY, ProfileEncoding(), 10)
    nobody = contexts.encode([FeatureRow(user_id=None)])
    n_statistics = context_statistics(nobody, network.outputs(nobody), network, clock=True).shape[1]
    head = HeadConfig(kind=kind, rank=RANK, hidden=8)
    shared = HeadWeights(torch.linspace(0.5, 1.5, experts)[None], torch.tensor([0.3]))
    hypernetwork = Hypernetwork(head, n_statistics, experts, WIDTH)
    torch.nn.init.normal_(hypernetwork.network[-1].weight, std=0.2)
    hypernetwork.shared[: experts + 1] = shared.flat()[0]
    config = ModelConfig(
        clock=True,
        body=network.body.encoder.config,
        head=head,
        experts=expert_specs(network),
        n_statistics=n_statistics,
        discovery=network.discovery,
    )
    schema = WorkspaceSchema(name="films", repeats=discovery, user_columns={"age": "numeric"})
    model = PersonalModel(config, network, hypernetwork, shared)
    return Recommender(model, contexts, schema, Calibration(Line(0.8, -0.5)), "7")
