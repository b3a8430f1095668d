"""Versions to flip between: an untrained model of a workspace's size, and a variant of a champion that ranks otherwise.

What is measured is which version answers, never how good it is.
"""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path

import torch

from recsys.context.profile import ProfileEncoding
from recsys.experts.body import BodyConfig, SequenceEncoder
from recsys.model.calibration import Calibration
from recsys.model.coherence import N_COHERENCE
from recsys.model.head import HeadConfig
from recsys.model.hypernetwork import Hypernetwork
from recsys.model.personal import ExpertSpec, ModelConfig, build_model
from recsys.registry.champion import load_champion
from recsys.registry.feature_lock import features_section
from recsys.registry.judging import Verdict
from recsys.registry.loading import MODEL_SECTION, TRAINING_SECTION
from recsys.registry.policy import PromotionPolicy
from recsys.registry.rules import Finding
from recsys.registry.snapshot import write_snapshot
from recsys.registry.tracking import log_run
from recsys.registry.versions import RegisteredVersion
from recsys.training.dataset import Dataset
from recsys.workspace import Workspace

_SETTINGS = {"decays": [0.5, 0.9], "windows": [8, 40]}
_STATISTICS = 30 + N_COHERENCE
_METRICS = {"validation": {"ndcg@10": 0.1}}


def allow(
    workspace: Workspace, candidate: RegisteredVersion, champion: RegisteredVersion | None, policy: PromotionPolicy
) -> Verdict:
    """In the place of the policy, which would refuse every second flip; all else is what `recsys promote` does."""
    return Verdict((Finding("benchmark", True, "Flips are not judged."),))


def register_untrained(workspace: Workspace, width: int = 64) -> str:
    """Registers a model with random weights over the workspace's items; returns its version."""
    dataset = Dataset.load(workspace)
    config = ModelConfig(
        clock=dataset.schema.clock,
        body=BodyConfig(width=width, layers=2, heads=2, attention="softmax"),
        head=HeadConfig(kind="gains"),
        experts=(
            ExpertSpec(name="memory", kind="memory", settings=_SETTINGS),
            ExpertSpec(name="long_term", kind="long_term", settings={"decay": 0.9}),
            ExpertSpec(name="popularity", kind="popularity", settings={}),
        ),
        n_statistics=_STATISTICS - (0 if dataset.schema.clock else 4),
    )
    with tempfile.TemporaryDirectory(prefix="recsys-untrained-") as scratch:
        snapshot = write_snapshot(
            Path(scratch) / "snapshot",
            tensors=build_model(config, _random_tensors(config, len(dataset.vocabulary))).tensors(),
            config={
                MODEL_SECTION: config.model_dump(mode="json"),
                TRAINING_SECTION: {"history_length": 200},
                "features": features_section(dataset.schema),
            },
            vocabulary=dataset.vocabulary,
            schema=dataset.schema,
            profile=ProfileEncoding().to_dict(),
            calibration=Calibration().to_dict(),
            metrics=_METRICS,
            card="# Untrained, for a benchmark\n",
            lineage={"log_position": dataset.log_position, "trained_at": datetime.now(UTC).isoformat()},
        )
        return log_run(workspace, snapshot=snapshot, params={}, metrics=_METRICS).model_version


def register_variant(workspace: Workspace) -> str:
    """Registers the champion with its experts on other scales, so that it gives other scores; returns its version."""
    champion = load_champion(workspace)
    tensors = dict(champion.tensors)
    tensors["scales"] = tensors["scales"] * torch.linspace(0.5, 2.0, len(tensors["scales"]))
    with tempfile.TemporaryDirectory(prefix="recsys-variant-") as scratch:
        snapshot = write_snapshot(
            Path(scratch) / "snapshot",
            tensors=tensors,
            config=champion.config,
            vocabulary=champion.vocabulary,
            schema=champion.schema,
            profile=champion.profile,
            calibration=champion.calibration,
            metrics=champion.metrics,
            card="# A variant, for a benchmark\n",
            lineage=champion.lineage,
        )
        return log_run(workspace, snapshot=snapshot, params={}, metrics=_METRICS).model_version


def _random_tensors(config: ModelConfig, n_items: int) -> dict[str, torch.Tensor]:
    torch.manual_seed(7)
    width, n_experts = config.body.width, 1 + len(config.experts)
    tensors = {
        "body.items": torch.randn(n_items + 1, width) / width**0.5,
        "memory.weights": torch.randn(len(_SETTINGS["decays"]), n_items + 1, n_items) / 10,
        "long_term.weights": torch.randn(n_items + 1, n_items) / 10,
    }
    for tensor in tensors.values():
        tensor[..., 0, :] = 0
    hypernetwork = Hypernetwork(config.head, config.n_statistics, n_experts, width)
    parts = {"body.encoder": SequenceEncoder(config.body).state_dict(), "hypernetwork": hypernetwork.state_dict()}
    tensors |= {f"{part}.{name}": tensor for part, state in parts.items() for name, tensor in state.items()}
    shared = torch.ones(n_experts + 1)
    shared[-1] = 0
    tensors["hypernetwork.shared"][: n_experts + 1] = shared
    return tensors | {
        "popularity.log_counts": torch.rand(n_items),
        "scales": torch.ones(n_experts),
        "bases": torch.randn(2, width, config.head.rank),
        "shared": shared,
    }
