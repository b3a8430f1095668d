"""A small recommender with random weights, and feature rows by hand."""

from __future__ import annotations

import pytest
import torch

from recsys.context.batch import FeatureRow
from recsys.context.encoder import ContextEncoder
from recsys.context.profile import ProfileEncoding
from recsys.data.schema import WorkspaceSchema
from recsys.experts.body import BodyConfig, SequenceEncoder
from recsys.model.calibration import Calibration, Line
from recsys.model.coherence import N_COHERENCE
from recsys.model.head import HeadConfig
from recsys.model.hypernetwork import Hypernetwork
from recsys.model.personal import ExpertSpec, ModelConfig, build_model
from recsys.ranking.recommender import Recommender

VOCABULARY = tuple("abcdefghijkl")
N, WIDTH, STATISTICS = len(VOCABULARY), 8, 30 + N_COHERENCE
EXPERTS = (
    ExpertSpec(name="memory", kind="memory", settings={"decays": [0.6], "windows": [5]}),
    ExpertSpec(name="long_term", kind="long_term", settings={"decay": 1.0}),
    ExpertSpec(name="popularity", kind="popularity", settings={}),
)


def _tensors(config: ModelConfig) -> dict[str, torch.Tensor]:
    torch.manual_seed(4)
    padded = {"body.items": (N + 1, WIDTH), "memory.weights": (1, N + 1, N), "long_term.weights": (N + 1, N)}
    tensors = {name: torch.randn(shape) for name, shape in padded.items()}
    for tensor in tensors.values():
        tensor[..., 0, :] = 0
    hypernetwork = Hypernetwork(config.head, STATISTICS, 4, WIDTH)
    torch.nn.init.normal_(hypernetwork.network[-1].weight, std=0.2)
    parts = {"body.encoder": SequenceEncoder(config.body).state_dict(), "hypernetwork": hypernetwork.state_dict()}
    tensors |= {f"{part}.{name}": tensor for part, state in parts.items() for name, tensor in state.items()}
    shared = torch.tensor([1.0, 2.0, 0.5, 0.3, 0.0])
    tensors["hypernetwork.shared"][:5] = shared
    counts = torch.tensor([5.0, 5, 5, 3, 3, 3, 3, 1, 1, 1, 0, 0])
    return tensors | {
        "popularity.log_counts": torch.log1p(counts),
        "scales": torch.ones(4),
        "bases": torch.randn(2, WIDTH, config.head.rank),
        "shared": shared,
    }


@pytest.fixture(scope="session")
def recommender():
    """Makes recommenders: `only` silences every expert but one for everybody."""

    def make(*, repeats: bool = False, vocabulary=VOCABULARY, only: int | None = None) -> Recommender:
        config = ModelConfig(
            clock=True,
            body=BodyConfig(width=WIDTH, layers=1, heads=1, length=6),
            head=HeadConfig(kind="lowrank", rank=2, hidden=8),
            experts=EXPERTS,
            n_statistics=STATISTICS,
        )
        tensors = _tensors(config)
        if only is not None:
            tensors["hypernetwork.network.4.weight"].zero_()
            tensors["hypernetwork.shared"].zero_()
            tensors["hypernetwork.shared"][only] = 1.0
        return Recommender(
            build_model(config, tensors),
            ContextEncoder(vocabulary, ProfileEncoding(), 10),
            WorkspaceSchema(name="small", repeats=repeats),
            Calibration(Line(1.0, -1.0)),
            "7",
        )

    return make


@pytest.fixture(scope="session")
def row():
    """Makes a feature row out of a string of one-letter items."""

    def make(items: str = "", seen: str | None = None) -> FeatureRow:
        return FeatureRow(
            user_id="u",
            history_items=tuple(items),
            history_times=tuple(1_700_000_000_000_000 + n * 60_000_000 for n in range(len(items))),
            history_values=(1.0,) * len(items),
            seen_items=tuple(dict.fromkeys(items if seen is None else seen)),
            event_count=len(items),
            present=True,
        )

    return make
