"""Tiny real snapshots and a workspace with a real sqlite MLflow."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import torch

from recsys.context.profile import ProfileEncoding
from recsys.data.schema import WorkspaceSchema
from recsys.experts.body import BodyConfig, SequenceEncoder
from recsys.model.calibration import Calibration
from recsys.model.coherence import N_COHERENCE
from recsys.model.head import HeadConfig
from recsys.model.hypernetwork import Hypernetwork
from recsys.model.personal import ExpertSpec, ModelConfig, build_model
from recsys.registry.client import new_registry
from recsys.registry.feature_lock import features_section
from recsys.registry.judging import Verdict
from recsys.registry.rules import Finding
from recsys.registry.snapshot import Snapshot, write_snapshot
from recsys.registry.tracking import RunRecord, log_run
from recsys.workspace import Workspace

STATISTICS = 24 + N_COHERENCE
SCHEMA = WorkspaceSchema(name="tiny", item_columns={"name": "text"}, title="name")


@pytest.fixture(scope="session")
def make_snapshot() -> Callable[..., Snapshot]:
    def make(folder: Path, *, seed: int = 0, **parts: object) -> Snapshot:
        generator = torch.Generator().manual_seed(seed)
        whole = {
            "tensors": {
                "items": torch.randn(3, 4, generator=generator),
                "bias": torch.randn(3, generator=generator),
            },
            "config": {"seed": seed, "experts": ["memory", "popularity"], "memory": {"decay": 0.6}},
            "vocabulary": [str(seed), "20", "Amélie"],
            "schema": SCHEMA,
            "profile": {"width": seed},
            "calibration": {"kind": "none", "seed": seed},
            "metrics": {"validation": {"ndcg@10": 0.25 + seed}},
            "card": f"# Tiny model {seed}\n",
            "lineage": {"run": seed},
        }
        return write_snapshot(folder, **whole | parts)

    return make


@pytest.fixture
def snapshot(tmp_path: Path, make_snapshot: Callable[..., Snapshot]) -> Snapshot:
    return make_snapshot(tmp_path / "snapshot")


@pytest.fixture
def workspace(recsys_home: Path) -> Workspace:
    made = Workspace(name="tiny", home=recsys_home)
    made.root.mkdir(parents=True)
    SCHEMA.save(made.schema_file)
    return made


@pytest.fixture(scope="session")
def empty_registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow takes seconds to make its tables: made once, copied for each test."""
    made = Workspace(name="tiny", home=tmp_path_factory.mktemp("registry"))
    with new_registry(made):
        return made.tracking_database


def judged_by_logged_figure(workspace, candidate, champion, policy) -> Verdict:
    """Stands in for a trial, which tiny snapshots cannot hold: the logged NDCG@10, within .002 of the champion's."""
    new, old = (known.metric("validation.ndcg@10") if known else None for known in (candidate, champion))
    said = f"{new:.4f} of version {candidate.version} against {old or 0:.4f} of the champion, tolerance 0.0020."
    return Verdict((Finding("quality", old is None or new >= old - 0.002, said),))


@pytest.fixture(autouse=True)
def _no_trial(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "real_judge" not in request.fixturenames:
        monkeypatch.setattr("recsys.registry.judging.judge", judged_by_logged_figure)


@pytest.fixture
def real_judge() -> None:
    """Asked for by tests whose versions can be loaded and judged."""


@pytest.fixture
def train(
    workspace: Workspace, tmp_path: Path, make_snapshot: Callable[..., Snapshot], empty_registry: Path
) -> Callable[..., RunRecord]:
    """Registers a version with a given validation ndcg@10; each call is another model."""
    workspace.tracking_database.parent.mkdir(parents=True)
    shutil.copy(empty_registry, workspace.tracking_database)
    seeds = iter(range(1, 100))

    def train_one(ndcg: float = 0.25, **logged: object) -> RunRecord:
        seed = next(seeds)
        made = make_snapshot(tmp_path / f"trained-{seed}", seed=seed)
        metrics = {"validation": {"ndcg@10": ndcg, "hr@10": 2 * ndcg}}
        return log_run(workspace, snapshot=made, **{"params": {"seed": seed}, "metrics": metrics} | logged)

    return train_one


VOCABULARY = tuple(f"i{n:02d}" for n in range(12))
WIDTH = 8
SHOP = WorkspaceSchema(name="tiny", user_columns={"plan": "categorical"})


def _experts_tensors(config: ModelConfig, seed: int) -> dict[str, torch.Tensor]:
    """Random weights of a small model; seeds give models that rank differently."""
    torch.manual_seed(seed)
    n = len(VOCABULARY)
    tensors = {"body.items": torch.randn(n + 1, WIDTH), "memory.weights": torch.randn(1, n + 1, n)}
    for tensor in tensors.values():
        tensor[..., 0, :] = 0
    hypernetwork = Hypernetwork(config.head, config.n_statistics, 3, WIDTH)
    parts = {"body.encoder": SequenceEncoder(config.body).state_dict(), "hypernetwork": hypernetwork.state_dict()}
    tensors |= {f"{part}.{name}": tensor for part, state in parts.items() for name, tensor in state.items()}
    shared = torch.tensor([0.1, 3.0, 0.1, 0.0])
    tensors["hypernetwork.shared"][:4] = shared
    return tensors | {
        "popularity.log_counts": torch.log1p(torch.arange(n, 0, -1, dtype=torch.float32)),
        "scales": torch.ones(3),
        "bases": torch.randn(2, WIDTH, config.head.rank),
        "shared": shared,
    }


@pytest.fixture(scope="session")
def write_model() -> Callable[..., Snapshot]:
    """Writes a snapshot that can be loaded: a small model over `VOCABULARY`; `memory` replaces its strongest expert."""

    def write(folder: Path, *, seed: int = 0, memory: torch.Tensor | None = None, log_position: int = 0) -> Snapshot:
        config = ModelConfig(
            clock=True,
            body=BodyConfig(width=WIDTH, layers=1, heads=1, length=6),
            head=HeadConfig(kind="lowrank", rank=2, hidden=8),
            experts=(
                ExpertSpec(name="memory", kind="memory", settings={"decays": [0.6], "windows": [5]}),
                ExpertSpec(name="popularity", kind="popularity", settings={}),
            ),
            n_statistics=STATISTICS,
        )
        tensors = _experts_tensors(config, seed)
        if memory is not None:
            tensors["memory.weights"] = memory
        return write_snapshot(
            folder,
            tensors=build_model(config, tensors).tensors(),
            config={
                "model": config.model_dump(mode="json"),
                "training": {"history_length": 10},
                "features": features_section(SHOP),
            },
            vocabulary=VOCABULARY,
            schema=SHOP,
            profile=ProfileEncoding().to_dict(),
            calibration=Calibration().to_dict(),
            metrics={"validation": {"ndcg@10": 0.1}},
            card="# Random\n",
            lineage={"log_position": log_position, "trained_at": datetime.now(UTC).isoformat(), "seed": seed},
        )

    return write


@pytest.fixture(scope="session")
def trained_snapshot(write_model: Callable[..., Snapshot], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "snapshot").folder
