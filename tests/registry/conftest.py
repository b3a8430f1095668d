"""Tiny real snapshots and a workspace with a real sqlite MLflow."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from recsys.data.schema import WorkspaceSchema
from recsys.registry.client import new_registry
from recsys.registry.snapshot import Snapshot, write_snapshot
from recsys.registry.tracking import RunRecord, log_run
from recsys.workspace import Workspace

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
