"""A search in MLflow: one run, with a run nested in it for each trial. No version comes of it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from recsys.registry.client import new_registry, registry
from recsys.registry.metric_names import tracked_name
from recsys.registry.tracking import experiment_id, log_values
from recsys.workspace import Workspace

_PARENT, _NAME = "mlflow.parentRunId", "mlflow.runName"


@dataclass(frozen=True, slots=True)
class SearchRun:
    """A search that is going on.

    Attributes:
        workspace: whose.
        run_id: MLflow's id of its run.
    """

    workspace: Workspace
    run_id: str

    def log_trial(
        self,
        name: str,
        *,
        params: Mapping[str, object],
        metrics: Mapping[str, float],
        curves: Mapping[str, Sequence[float]],
        tags: Mapping[str, str],
        seconds: float,
        failed: bool = False,
    ) -> str:
        """Logs a trial that ended as a nested run.

        Args:
            name: what MLflow's pages call it.
            params: its settings.
            metrics: what it came to.
            curves: one value an epoch, by name.
            tags: what else to remember.
            seconds: how long ago it began.
            failed: whether it failed.

        Returns:
            The nested run's id.

        Raises:
            RegistryError: MLflow refused something.
        """
        with registry(self.workspace) as client:
            labels = {tracked_name(key): value for key, value in tags.items()} | {_PARENT: self.run_id, _NAME: name}
            began = int((time.time() - seconds) * 1000)
            run_id = str(client.create_run(experiment_id(client, self.workspace), began, labels).info.run_id)
            log_values(client, run_id, params, metrics, curves)
            client.set_terminated(run_id, "FAILED" if failed else "FINISHED")
        return run_id

    def log_result(self, metrics: Mapping[str, float], tags: Mapping[str, str]) -> None:
        """Logs what the whole search came to.

        Raises:
            RegistryError: MLflow refused something.
        """
        with registry(self.workspace) as client:
            log_values(client, self.run_id, {}, metrics, {})
            for name, value in tags.items():
                client.set_tag(self.run_id, tracked_name(name), value)


@contextmanager
def search_run(workspace: Workspace, params: Mapping[str, object], tags: Mapping[str, str]) -> Iterator[SearchRun]:
    """A run of the workspace's experiment for the body of a `with`; it fails when the body does.

    Args:
        workspace: whose.
        params: what is searched from; nested mappings become dotted names.
        tags: what else to remember.

    Raises:
        RegistryError: MLflow refused something.
    """
    with new_registry(workspace) as client:
        labels = {tracked_name(key): value for key, value in tags.items()} | {_NAME: "search"}
        run_id = client.create_run(experiment_id(client, workspace), tags=labels).info.run_id
        log_values(client, run_id, params, {}, {})
    try:
        yield SearchRun(workspace, run_id)
    except BaseException:
        _end(workspace, run_id, "FAILED")
        raise
    _end(workspace, run_id, "FINISHED")


def _end(workspace: Workspace, run_id: str, status: str) -> None:
    with registry(workspace) as client:
        client.set_terminated(run_id, status)
