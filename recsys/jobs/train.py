"""The job that trains: data → experts and generator → validation figures → snapshot → a new registered version."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from recsys.context.encoder import ContextEncoder
from recsys.evaluation.calibrating import calibrated
from recsys.evaluation.workspace_protocol import targets_of, training_sequences_of
from recsys.events.log import EventLog
from recsys.events.removals import Removals
from recsys.failpoints import Failpoint, reached
from recsys.jobs.materialise import materialise
from recsys.jobs.previous_training import PreviousTraining
from recsys.jobs.registering import UNREGISTERED, TrainResult, register_model, validation_metrics
from recsys.jobs.training_run import TrainingRun
from recsys.model.calibration import Calibration
from recsys.ranking.recommender import Recommender
from recsys.registry.card import body_position
from recsys.registry.chosen import chosen_version
from recsys.registry.client import refuse_unreadable
from recsys.registry.loading import TRAINING_SECTION
from recsys.training.body_start import BodyStart
from recsys.training.config import TrainConfig
from recsys.training.dataset import Dataset
from recsys.training.memory_estimate import refuse_what_does_not_fit
from recsys.training.progress import Progress, Silent
from recsys.training.warm_start import refuse_other_data, refuse_to_begin_from
from recsys.workspace import Workspace

if TYPE_CHECKING:
    import numpy as np

    from recsys.training.fit import Fitted


def train(
    workspace: Workspace,
    config: TrainConfig,
    *,
    progress: Progress | None = None,
    reuse_within: float | None = None,
    upto: int | None = None,
    begin_from: str | None = None,
    key: str | None = None,
    on_run: Callable[[str], None] = lambda name: None,
) -> TrainResult:
    """Trains on everything but validation's and test's targets and registers the result. Sees validation only.

    Args:
        workspace: an existing workspace with events.
        config: everything that decides.
        progress: told how far it is.
        reuse_within: when the last run had the same configuration, schema and code, and the log has grown by no more
            than this share since, that run's version is returned instead; None always trains.
        upto: the log's position to train on; None: all of it.
        begin_from: the version whose body this one's begins from, instead of from nothing.
        key: what a flow knows this run by; the version is tagged with it, and a run under the same key that was killed
            is gone on with.
        on_run: told the name by which `resume` knows this run.

    Raises:
        ConfigError: the configuration cannot fit into this machine's memory, or cannot begin from that version.
        DataError: too few events.
        TrainingError: a loss or score is not finite, or a worker failed; nothing was registered.
        RegistryError: MLflow refused; nothing was registered.
    """
    started = time.monotonic()
    refuse_unreadable(workspace)
    dataset = Dataset.load(workspace, upto)
    if reuse_within is not None:
        previous = PreviousTraining.still_valid(workspace, config, dataset, reuse_within)
        if previous is not None:
            newer = EventLog(workspace.event_log).read(after=previous.log_position, upto=dataset.log_position)
            again = {"reused": True, "new_events": newer.height}
            return TrainResult(**{**previous.result, **again, "seconds": round(time.monotonic() - started, 2)})

    run = TrainingRun.planned(workspace, config, dataset, begin_from, key)
    return _trained(run, dataset, progress or Silent(), started, on_run)


def resume(
    workspace: Workspace, name: str, *, workers: int | None = None, progress: Progress | None = None
) -> TrainResult:
    """Goes on with a run whose process was killed: what it trains was decided when it began.

    Args:
        workspace: an existing workspace.
        name: the run's.
        workers: of the body, another number than it began with; None: as many.
        progress: told how far it is.

    Raises:
        ConfigError: there is no such run, it is finished, or schema or code have changed since.
        DataError: the data have changed since.
        RegistryError: another process is at it.
    """
    started = time.monotonic()
    refuse_unreadable(workspace)
    run = TrainingRun.unfinished(workspace, name).with_workers(workers)
    dataset = Dataset.load(workspace, run.plan.log_position)
    run.refuse_other(dataset)
    return _trained(run, dataset, progress or Silent(), started)


def _trained(
    run: TrainingRun,
    dataset: Dataset,
    progress: Progress,
    started: float,
    on_run: Callable[[str], None] = lambda name: None,
) -> TrainResult:
    from recsys.context.reader import FeastReader

    workspace, config, begin_from = run.workspace, run.config, run.plan.begin_from
    split = targets_of(dataset, "validation")
    refuse_what_does_not_fit(config, dataset.sizes)
    start = None if begin_from is None else _start(workspace, begin_from, config, dataset)
    with run.under_way():
        on_run(run.name)
        materialise(workspace)
        encoding = dataset.profile_encoding()
        fitted = _fit(dataset, dataset.encoded_profiles(encoding), config, progress, start, run.body)
        encoder = ContextEncoder(dataset.vocabulary, encoding, config.history_length)
        reader = FeastReader(workspace, dataset.schema)
        recommender = Recommender(fitted.model, encoder, dataset.schema, Calibration(), UNREGISTERED)
        metrics = validation_metrics(reader, split, recommender)
        recommender = calibrated(recommender, reader, split)
        result = register_model(
            workspace,
            dataset,
            config,
            recommender,
            metrics,
            started,
            counts=fitted.counts,
            curves=fitted.curves,
            begun_from=begin_from,
            key=run.plan.key,
        )
        reached(Failpoint.TRAIN_REGISTERED)
        run.finish(result.model_version)
    PreviousTraining.remember(workspace, config, dataset, result.as_dict())
    return result


def _start(workspace: Workspace, version: str, config: TrainConfig, dataset: Dataset) -> BodyStart:
    """The body of a version, if it has seen nothing that this run will judge or teach heads by."""
    snapshot = chosen_version(workspace, version).snapshot
    earlier = TrainConfig.model_validate(snapshot.config[TRAINING_SECTION])
    refuse_to_begin_from(version, earlier, int(str(snapshot.lineage["log_position"])), config, dataset.log_position)
    pruned_at = Removals(workspace.event_log).last_pruned_at()
    pruned_since = pruned_at is not None and pruned_at > body_position(snapshot.lineage)
    refuse_other_data(version, snapshot.schema, dataset.schema, config, pruned_since=pruned_since)
    return BodyStart.of(snapshot.tensors, snapshot.vocabulary, dataset.vocabulary)


def _fit(
    dataset: Dataset,
    profile: np.ndarray,
    config: TrainConfig,
    progress: Progress,
    start: BodyStart | None,
    kept: Path,
) -> Fitted:
    from recsys.training.fit import fit_model

    return fit_model(
        training_sequences_of(dataset),
        profile,
        dataset.attributes,
        config,
        clock=dataset.schema.clock,
        repeats=dataset.schema.repeats,
        progress=progress,
        start=start,
        kept=kept,
    )
