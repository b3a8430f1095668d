"""A training run as it is written down: what it trains, so that it can be gone on with after its process was killed.

A run's folder in the workspace holds its plan and what the body's fit keeps; once a version is registered only the plan
is left, with that version's number.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from recsys.errors import ConfigError, DataError, RegistryError
from recsys.failpoints import Failpoint, reached
from recsys.jobs.run_plan import RunPlan, digest
from recsys.registry.lineage import code_hash
from recsys.registry.locks import exclusive
from recsys.training.body_files import BodyFiles
from recsys.training.config import TrainConfig
from recsys.training.dataset import Dataset
from recsys.training.histories import BODY_FOLDER
from recsys.workspace import Workspace

_PLAN, _LOCK = "run.json", "run.lock"
_REMEMBERED = 20
"""Runs; older ones are forgotten, and cannot be gone on with."""


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """A run in a workspace.

    Attributes:
        workspace: whose.
        name: what it is resumed by.
        plan: what it trains.
    """

    workspace: Workspace
    name: str
    plan: RunPlan

    @property
    def folder(self) -> Path:
        return self.workspace.training / self.name

    @property
    def body(self) -> Path:
        """What the body's fit keeps."""
        return self.folder / BODY_FOLDER

    @property
    def config(self) -> TrainConfig:
        return TrainConfig.model_validate(self.plan.config)

    @classmethod
    def planned(
        cls, workspace: Workspace, config: TrainConfig, dataset: Dataset, begin_from: str | None, key: str | None
    ) -> TrainingRun:
        """A new run, or the one that a flow began under the same key and that would come to the same version."""
        name = (
            f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}" if key is None else f"flow-{digest(key)[:16]}"
        )
        return cls(workspace, name, RunPlan.of(config, dataset, begin_from, key or name))

    @classmethod
    def unfinished(cls, workspace: Workspace, name: str) -> TrainingRun:
        """The run of that name, which was interrupted.

        Raises:
            ConfigError: there is none, or it has registered its version.
        """
        known = {run.name: run for run in runs(workspace)}
        if name not in known:
            others = ", ".join(run.name for run in known.values() if run.plan.version is None) or "none"
            raise ConfigError(f"'{workspace.name}' has no run '{name}'. Those that can be gone on with: {others}.")
        run = known[name]
        version = run.plan.version or _registered(workspace, run.plan.key)
        if version is not None:
            raise ConfigError(f"The run '{name}' is finished: it registered version {version} of '{workspace.name}'.")
        return run

    def with_workers(self, workers: int | None) -> TrainingRun:
        """The same run with another number of workers; None: as many as before."""
        if workers is None:
            return self
        return replace(self, plan=replace(self.plan, config=self.plan.config | {"workers": workers}))

    def refuse_other(self, dataset: Dataset) -> None:
        """Refuses to go on where the result would be of two kinds.

        Raises:
            ConfigError: the schema or the code is another one by now.
            DataError: the data are.
        """
        advice = "Train anew."
        if self.plan.code != code_hash():
            raise ConfigError(f"The run '{self.name}' was begun by another version of this library. {advice}")
        now = RunPlan.of(self.config, dataset, self.plan.begin_from, self.plan.key)
        if self.plan.schema != now.schema:
            raise ConfigError(f"The workspace's schema has changed since the run '{self.name}' began. {advice}")
        if self.plan.fingerprint != now.fingerprint:
            raise DataError(
                f"The events, profiles or items that the run '{self.name}' trains on have changed since it began "
                f"(a deletion, a pruning, an import). {advice}"
            )

    @contextmanager
    def under_way(self) -> Iterator[None]:
        """Holds the run for the block. Where that fails what was kept stays; a run that began and kept nothing is gone.

        Raises:
            RegistryError: another process is at it.
        """
        _forget_oldest(self)
        with exclusive(self.folder / _LOCK, f"process at the run '{self.name}'"):
            known = RunPlan.read(self.folder / _PLAN)
            begins = known is None or not self.plan.is_for(known)
            if begins:  # what lies there, if anything, is of another plan, or of one that nobody can read
                shutil.rmtree(self.body, ignore_errors=True)
            self._write(self.plan)
            reached(Failpoint.TRAIN_BEGUN)
            try:
                yield
            except BaseException:
                if begins and not BodyFiles(self.body).are_worth_keeping():
                    shutil.rmtree(self.folder, ignore_errors=True)
                raise

    def finish(self, version: str) -> None:
        """Writes the version down and removes what was kept to go on."""
        self._write(replace(self.plan, version=version))
        shutil.rmtree(self.body, ignore_errors=True)

    def _write(self, plan: RunPlan) -> None:
        plan.write(self.folder / _PLAN)


def runs(workspace: Workspace) -> list[TrainingRun]:
    """Those that are remembered, the newest first."""
    folders = [path.parent for path in workspace.training.glob(f"[!.]*/{_PLAN}")]
    folders.sort(key=lambda folder: (folder / _PLAN).stat().st_mtime_ns, reverse=True)
    found = [(folder, RunPlan.read(folder / _PLAN)) for folder in folders]
    return [TrainingRun(workspace, folder.name, plan) for folder, plan in found if plan is not None]


def _forget_oldest(begun: TrainingRun) -> None:
    others = [run for run in runs(begun.workspace) if run.name != begun.name]
    for run in others[_REMEMBERED:]:
        try:
            with exclusive(run.folder / _LOCK, "process at it"):
                shutil.rmtree(run.folder, ignore_errors=True)
        except RegistryError:
            continue


def _registered(workspace: Workspace, key: str) -> str | None:
    """The version that a run registered before it was killed, if it came so far."""
    from recsys.registry.client import exists, registry
    from recsys.registry.versions import made_under

    if not exists(workspace):
        return None
    with registry(workspace) as client:
        return made_under(client, workspace, key)
