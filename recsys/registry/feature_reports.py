"""Files a report on features with the MLflow run of the version that reads them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from recsys.registry.client import registry
from recsys.registry.metric_names import tracked_name
from recsys.registry.versions import read_version
from recsys.workspace import Workspace

FOLDER = "features"


def log_feature_report(
    workspace: Workspace, version: str, *, figures: Mapping[str, float], files: Sequence[Path]
) -> str:
    """Adds figures and files to the run that trained a version; files of an earlier report are replaced.

    Args:
        workspace: whose model.
        version: a registered version.
        figures: by name; they become metrics called `features.<name>`, one more step of each.
        files: they go under `features/`.

    Returns:
        The run's id.

    Raises:
        RegistryError: MLflow refused something.
    """
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    measured = [Metric(tracked_name(f"{FOLDER}.{name}"), value, now, 0) for name, value in figures.items()]
    with registry(workspace) as client:
        run_id = read_version(client, workspace, version).run_id
        client.log_batch(run_id, metrics=measured)
        for path in files:
            client.log_artifact(run_id, str(path), FOLDER)
    return run_id
