"""A fitted-looking model over some thousand items, and recommenders that search them or score them all."""

from __future__ import annotations

import numpy as np
import torch

from recsys.context.batch import FeatureRow
from recsys.context.encoder import ContextEncoder
from recsys.context.profile import ProfileEncoding
from recsys.data.schema import WorkspaceSchema
from recsys.experts.body import BodyConfig, BodyExpert, SequenceEncoder
from recsys.experts.content import ContentExpert
from recsys.experts.habit import HabitConfig, HabitExpert
from recsys.experts.memory import SequenceMemory
from recsys.experts.novelty import NoveltyExpert
from recsys.experts.popularity import PopularityExpert
from recsys.experts.repeat import RepeatConfig, RepeatExpert
from recsys.experts.top_weights import TopWeights
from recsys.model.calibration import Calibration
from recsys.model.head import HeadConfig, HeadWeights
from recsys.model.hypernetwork import Hypernetwork
from recsys.model.personal import ModelConfig, PersonalModel, expert_specs
from recsys.model.scoring import NOVELTY, ScoringNetwork
from recsys.model.statistics import context_statistics
from recsys.ranking.large import LargeCatalogue
from recsys.ranking.recommender import Recommender
from recsys.ranking.retrieval import RetrievalConfig

N, WIDTH, LENGTH, ATTRIBUTES = 6_000, 16, 12, 3
SETTINGS = RetrievalConfig(exact_items=1_000, candidates=400, popular=50, remembered=100)
VOCABULARY = tuple(f"i{n}" for n in range(N))


def _memory() -> SequenceMemory:
    columns = torch.stack([torch.randperm(N)[:20].sort().values for _ in range(N)]).flatten().int()
    offsets = torch.cat([torch.zeros(1), torch.arange(N + 1) * 20]).long()[None]
    return SequenceMemory(TopWeights(offsets, columns, torch.rand(len(columns)) - 0.2), [0.7], [LENGTH])


def _experts(repeats: bool) -> dict:
    described = (torch.rand(N + 1, ATTRIBUTES) > 0.6).float()
    described[0] = 0
    found = {
        "memory": _memory(),
        "content": ContentExpert(described, torch.randn(ATTRIBUTES, N) / 4, 0.8, LENGTH),
        "popularity": PopularityExpert(torch.rand(N) * 3),
    }
    if repeats:
        habit = HabitConfig(half_lives=(3.0,), age="events")
        found |= {
            "repeat": RepeatExpert(N, RepeatConfig(age="events")),
            "habit": HabitExpert(torch.randn(3), torch.randn(N), torch.tensor(-2.0), habit),
            "novelty": NoveltyExpert(N),
        }
    return found


def fitted_model(*, repeats: bool = False, kind: str = "lowrank") -> PersonalModel:
    torch.manual_seed(5)
    items = torch.cat([torch.zeros(1, WIDTH), torch.randn(N, WIDTH)])
    body = BodyExpert(SequenceEncoder(BodyConfig(width=WIDTH, layers=1, heads=1, length=LENGTH)), items)
    head = HeadConfig(kind=kind, rank=2, hidden=8, panel=500, panel_above=1_000)
    others = _experts(repeats)
    discovery = ("body", "content", "memory", "popularity") if repeats else ()
    network = ScoringNetwork(
        body,
        others,
        torch.tensor([1.0 if name == NOVELTY else 0.5 + float(torch.rand(1)) for name in ("body", *others)]),
        torch.randn(2, WIDTH, 2) / 4,
        discovery,
        head.reads,
        head.panel_size(N),
    )
    nobody = ContextEncoder(VOCABULARY, ProfileEncoding(), LENGTH).encode([FeatureRow(user_id=None)])
    n_statistics = context_statistics(nobody, network.outputs(nobody), network, clock=False).shape[1]
    hypernetwork = Hypernetwork(head, n_statistics, len(network.names), WIDTH)
    torch.nn.init.normal_(hypernetwork.network[-1].weight, std=0.1)
    hypernetwork.shared[: len(network.names)] = 0.7
    config = ModelConfig(
        clock=False,
        body=body.encoder.config,
        head=head,
        experts=expert_specs(network),
        n_statistics=n_statistics,
        discovery=discovery,
    )
    shared = HeadWeights(torch.ones(1, len(network.names)), torch.zeros(1))
    return PersonalModel(config, network, hypernetwork, shared)


def searching(model: PersonalModel, settings: RetrievalConfig = SETTINGS, *, repeats: bool = False) -> Recommender:
    return Recommender(
        model,
        ContextEncoder(VOCABULARY, ProfileEncoding(), LENGTH),
        WorkspaceSchema(name="large", repeats=repeats),
        Calibration(),
        "1",
        large=LargeCatalogue.of(model, settings),
    )


def scoring_every_item(model: PersonalModel, *, repeats: bool = False) -> Recommender:
    return searching(model, SETTINGS.model_copy(update={"exact_items": N}), repeats=repeats)


def feature_row(seed: int, events: int = 8) -> FeatureRow:
    rng = np.random.default_rng(seed)
    items = [VOCABULARY[n] for n in rng.integers(0, N, events)]
    items[-1:] = items[:1]
    seen = tuple(dict.fromkeys(items))
    return FeatureRow(
        user_id=f"u{seed}",
        history_items=tuple(items),
        history_times=tuple(1_000_000 * n for n in range(len(items))),
        history_values=(1.0,) * len(items),
        seen_items=seen,
        seen_counts=tuple(items.count(item) for item in seen),
        seen_last=(1_000_000,) * len(seen),
        event_count=len(items),
        present=True,
    )


ROWS = [feature_row(seed) for seed in range(30)]
