"""A model of the shape that `recsys train` gives by default, with random weights: as much work as a trained one."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import torch

from recsys.context.batch import FeatureRow
from recsys.context.encoder import ContextEncoder
from recsys.context.profile import ProfileEncoding
from recsys.experts.body import BodyExpert, SequenceEncoder
from recsys.experts.content import ContentExpert
from recsys.experts.long_term import LongTermMemory
from recsys.experts.memory import SequenceMemory
from recsys.experts.popularity import PopularityExpert
from recsys.experts.protocol import Expert
from recsys.model.calibration import Calibration
from recsys.model.head import HeadWeights
from recsys.model.hypernetwork import Hypernetwork
from recsys.model.personal import ModelConfig, PersonalModel, expert_specs
from recsys.model.scoring import POPULARITY, ScoringNetwork
from recsys.model.statistics import context_statistics
from recsys.registry.feature_lock import features_section
from recsys.registry.loading import MODEL_SECTION, TRAINING_SECTION
from recsys.registry.snapshot import write_snapshot
from recsys.registry.tracking import log_run
from recsys.training.config import TrainConfig, load_config
from recsys.training.dataset import Dataset
from recsys.workspace import Workspace

_METRICS = {"validation": {"ndcg@10": 0.1}}


def register_default(workspace: Workspace) -> str:
    """Registers an untrained model of the default configuration over the workspace's items; returns its version."""
    dataset, config = Dataset.load(workspace), load_config()
    profile = dataset.profile_encoding()
    model = _untrained(dataset, config, profile)
    with tempfile.TemporaryDirectory(prefix="recsys-untrained-") as scratch:
        snapshot = write_snapshot(
            Path(scratch) / "snapshot",
            tensors=model.tensors(),
            config={
                MODEL_SECTION: model.config.model_dump(mode="json"),
                TRAINING_SECTION: {"history_length": config.history_length},
                "features": features_section(dataset.schema),
            },
            vocabulary=dataset.vocabulary,
            schema=dataset.schema,
            profile=profile.to_dict(),
            calibration=Calibration().to_dict(),
            metrics=_METRICS,
            card="# Untrained, for a benchmark\n",
            lineage={"log_position": dataset.log_position, "trained_at": datetime.now(UTC).isoformat()},
        )
        return log_run(workspace, snapshot=snapshot, params={}, metrics=_METRICS).model_version


def is_trained(lineage: Mapping[str, object]) -> bool:
    """Whether a version with this lineage came out of a training: that writes down which data it saw."""
    return "data_fingerprint" in lineage


def _untrained(dataset: Dataset, config: TrainConfig, profile: ProfileEncoding) -> PersonalModel:
    torch.manual_seed(7)
    n_items, width = len(dataset.vocabulary), config.body.width
    body_config = config.body.model_copy(update={"clock": dataset.schema.clock, "baskets": dataset.schema.baskets})
    body = BodyExpert(SequenceEncoder(body_config), _rows(n_items, width) / width**0.5)
    others = _experts(dataset, config, n_items)
    n_experts = 1 + len(others)
    network = ScoringNetwork(
        body,
        others,
        torch.ones(n_experts),
        torch.randn(2, width, config.head.rank),
        config.discovery,
        config.head.reads,
        config.head.panel_size(n_items),
    )
    nobody = ContextEncoder(dataset.vocabulary, profile).encode([FeatureRow(user_id=None)])
    clock = dataset.schema.clock
    n_statistics = context_statistics(nobody, network.outputs(nobody), network, clock=clock).shape[1]
    hypernetwork = Hypernetwork(config.head, n_statistics, n_experts, width)
    torch.nn.init.normal_(hypernetwork.network[-1].weight, std=0.02)
    shared = HeadWeights(torch.ones(1, n_experts), torch.zeros(1))
    hypernetwork.shared[:n_experts] = 1
    shape = ModelConfig(
        clock=clock,
        body=body_config,
        head=config.head,
        experts=expert_specs(network),
        n_statistics=n_statistics,
        discovery=network.discovery,
    )
    return PersonalModel(shape, network, hypernetwork, shared)


def _experts(dataset: Dataset, config: TrainConfig, n_items: int) -> dict[str, Expert]:
    """Those that the configuration names and these data can have; where items repeat, habits are left out."""
    found: dict[str, Expert] = {
        name: SequenceMemory(torch.stack([_rows(n_items, n_items) / 10 for _ in own.decays]), own.decays, own.windows)
        for name, own in config.memories.items()
        if own.max_items is None or n_items <= own.max_items
    }
    if config.long_term is not None:
        found["long_term"] = LongTermMemory(_rows(n_items, n_items) / 10, config.long_term.decay)
    if config.content is not None and (n_attributes := dataset.attributes.n_attributes):
        described = (_rows(n_items, n_attributes) > 1).float()
        found["content"] = ContentExpert(
            described, torch.randn(n_attributes, n_items) / 10, config.content.decay, config.content.window
        )
    found[POPULARITY] = PopularityExpert(torch.rand(n_items) * 6)
    return found


def _rows(n_items: int, columns: int) -> torch.Tensor:
    """(n_items + 1, columns) random numbers; row 0, the padding, is zero."""
    drawn = torch.randn(n_items + 1, columns)
    drawn[0] = 0
    return drawn
