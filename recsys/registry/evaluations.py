"""Files an evaluation with the MLflow run of the version it judged: a model and what it is worth on one page."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from recsys.registry.client import registry
from recsys.registry.metric_names import flat_metrics, tracked_name
from recsys.registry.versions import read_version
from recsys.workspace import Workspace

FOLDER = "evaluation"
_PER_BATCH = 1000


def log_evaluation(
    workspace: Workspace,
    version: str,
    *,
    split: str,
    metrics: Mapping[str, Mapping[str, float]],
    files: Sequence[Path],
) -> None:
    """Adds figures and files to the run that trained a version. What an earlier evaluation filed there is replaced.

    Figures are named `evaluation.<split>.<scorer>.<metric>`, apart from those that training logged and promotion
    compares.

    Args:
        workspace: whose model.
        version: a registered version.
        split: validation or test.
        metrics: figures by scorer.
        files: report files and folders; they go under `evaluation/`.

    Raises:
        RegistryError: MLflow refused something.
    """
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    named = {_plain(scorer): dict(own) for scorer, own in metrics.items()}
    flat = flat_metrics({FOLDER: {split: named}})
    measured = [Metric(tracked_name(name), value, now, 0) for name, value in flat.items()]
    with registry(workspace) as client:
        run_id = read_version(client, workspace, version).run_id
        for start in range(0, len(measured), _PER_BATCH):
            client.log_batch(run_id, metrics=measured[start : start + _PER_BATCH])
        for path in files:
            client.log_artifact(run_id, str(path), FOLDER)


def _plain(scorer: str) -> str:
    return scorer.replace(": ", "_").replace(" ", "_").replace("'", "")
