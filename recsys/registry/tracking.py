"""One training run in MLflow: what went in, what came out, and the snapshot as a new version of the model."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from recsys.errors import RegistryError
from recsys.registry.client import new_registry
from recsys.registry.local import keep_snapshot
from recsys.registry.metric_names import flat_metrics, tracked_name
from recsys.registry.packaging import MODEL_NAME, package_model
from recsys.registry.run_files import FOLDER
from recsys.registry.snapshot import Snapshot
from recsys.registry.tracked_data import TrackedData
from recsys.registry.tracking_server import TrackingServer
from recsys.registry.versions import version_tags
from recsys.workspace import Workspace

if TYPE_CHECKING:
    from mlflow import MlflowClient

_PARAMS_PER_BATCH = 100
_METRICS_PER_BATCH = 1000
_LONGEST_PARAM = 6000
_Entry = TypeVar("_Entry")


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run as MLflow knows it.

    Attributes:
        run_id: MLflow's id of the run.
        model_version: the version of `recsys-<workspace>` it registered.
    """

    run_id: str
    model_version: str

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


def log_run(
    workspace: Workspace,
    *,
    snapshot: Snapshot,
    params: Mapping[str, object],
    metrics: Mapping[str, object],
    curves: Mapping[str, Sequence[float]] | None = None,
    artifacts: Sequence[Path] = (),
    tags: Mapping[str, str] | None = None,
    data: TrackedData | None = None,
    seconds: float = 0.0,
) -> RunRecord:
    """Logs a finished run and registers its snapshot as the next model version; a local copy is kept as well.

    Args:
        workspace: whose run it is.
        snapshot: what was trained.
        params: the resolved configuration; nested mappings become dotted names.
        metrics: nested or dotted, for example `{"validation": {"ndcg@10": 0.3}}`. Promotion compares these.
        curves: one value an epoch, by name.
        artifacts: files to keep with the run (reports, plots), under `training/`.
        tags: what else to remember of the run and of the version (data fingerprint, feature service, code version).
        data: what it was trained on, for MLflow's list of data sets; None says nothing of it.
        seconds: how long ago it began.

    Returns:
        The run's id and the version's number.

    Raises:
        RegistryError: MLflow refused something; the run is marked as failed and no version was registered.
        SnapshotError: the snapshot was damaged meanwhile.
    """
    flat = flat_metrics(metrics)
    odd = sorted(name for name, value in flat.items() if not math.isfinite(value))
    if odd:
        raise RegistryError(f"These metrics are not finite: {', '.join(odd)}. Nothing was registered: train again.")
    folder = keep_snapshot(snapshot.folder, workspace.snapshots)
    labels = {tracked_name(name): str(value) for name, value in (tags or {}).items()}
    with new_registry(workspace) as client:
        began = int((time.time() - seconds) * 1000)
        run_id = client.create_run(experiment_id(client, workspace), began, labels | _source(labels)).info.run_id
        try:
            log_values(client, run_id, params, flat, curves or {})
            if data is not None:
                client.log_inputs(run_id, [data.as_input()])
            for path in artifacts:
                client.log_artifact(run_id, str(path), FOLDER)
            model_version = _register(client, workspace, run_id, folder, version_tags(snapshot, flat) | labels)
        except BaseException:
            client.set_terminated(run_id, "FAILED")
            raise
        client.set_terminated(run_id, "FINISHED")
    return RunRecord(run_id=run_id, model_version=model_version)


def _source(labels: Mapping[str, str]) -> dict[str, str]:
    """The code's commit under the name that MLflow's pages look for."""
    commit = labels.get("code_commit", "").removesuffix("-dirty")
    return {"mlflow.source.git.commit": commit} if commit not in ("", "unknown") else {}


def experiment_id(client: MlflowClient, workspace: Workspace) -> str:
    """The workspace's experiment, made where there is none."""
    from mlflow.exceptions import MlflowException

    name = workspace.registered_model
    try:
        known = client.get_experiment_by_name(name)
        if known is not None:
            return str(known.experiment_id)
        own = (workspace.tracking_artifacts / workspace.name).as_uri()
        return client.create_experiment(name, own if TrackingServer.of(workspace).embedded else None)
    except MlflowException:
        made_meanwhile = client.get_experiment_by_name(name)
        if made_meanwhile is None:
            raise
        return str(made_meanwhile.experiment_id)


def log_values(
    client: MlflowClient,
    run_id: str,
    params: Mapping[str, object],
    metrics: Mapping[str, float],
    curves: Mapping[str, Sequence[float]],
) -> None:
    """Logs into a run that was made already; arguments are those of `log_run`, metrics flat."""
    from mlflow.entities import Metric, Param

    now = int(time.time() * 1000)
    flat = [Param(tracked_name(name), str(value)[:_LONGEST_PARAM]) for name, value in _dotted(params)]
    for some_params in _batches(flat, _PARAMS_PER_BATCH):
        client.log_batch(run_id, params=some_params)
    measured = [Metric(tracked_name(name), value, now, 0) for name, value in metrics.items()]
    for name, curve in curves.items():
        measured += [Metric(tracked_name(name), float(value), now, step) for step, value in enumerate(curve)]
    for some_metrics in _batches(measured, _METRICS_PER_BATCH):
        client.log_batch(run_id, metrics=some_metrics)


def _register(client: MlflowClient, workspace: Workspace, run_id: str, snapshot: Path, tags: Mapping[str, str]) -> str:
    """Logs the model under the run and makes it a version; a model whose files are not all there never becomes one."""
    from mlflow.entities import LoggedModelOutput, LoggedModelStatus

    experiment = client.get_run(run_id).info.experiment_id
    logged = client.create_logged_model(experiment, name=MODEL_NAME, source_run_id=run_id)
    try:
        client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
        with tempfile.TemporaryDirectory() as scratch:
            packaged = Path(scratch) / "model"
            package_model(workspace, snapshot, packaged, model_id=logged.model_id, run_id=run_id)
            client.log_model_artifacts(logged.model_id, str(packaged))
    except BaseException:
        client.finalize_logged_model(logged.model_id, LoggedModelStatus.FAILED)
        raise
    client.finalize_logged_model(logged.model_id, LoggedModelStatus.READY)
    _ensure_registered_model(client, workspace)
    version = client.create_model_version(
        workspace.registered_model,
        source=str(logged.artifact_location),
        run_id=run_id,
        model_id=logged.model_id,
        tags=dict(tags),
    )
    return str(version.version)


def _ensure_registered_model(client: MlflowClient, workspace: Workspace) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(workspace.registered_model)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _dotted(params: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    for name, value in params.items():
        if isinstance(value, Mapping):
            yield from _dotted(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _batches(entries: Sequence[_Entry], size: int) -> Iterator[Sequence[_Entry]]:
    return (entries[start : start + size] for start in range(0, len(entries), size))
