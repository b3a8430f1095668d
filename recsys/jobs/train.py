"""The job that trains: data → experts and generator → validation figures → snapshot → a new registered version."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from recsys.context.encoder import ContextEncoder
from recsys.context.reader import ContextReader
from recsys.errors import TrainingError
from recsys.evaluation.calibrating import CALIBRATED_ON, RULE, calibrated
from recsys.evaluation.full_ranking import EXPERT_PREFIX, MODEL
from recsys.evaluation.next_basket import BasketSplit
from recsys.evaluation.protocol import Split
from recsys.evaluation.run import evaluate_split
from recsys.evaluation.workspace_protocol import protocol_of, targets_of, training_sequences_of
from recsys.events.log import EventLog
from recsys.jobs.materialise import materialise
from recsys.jobs.previous_training import PreviousTraining
from recsys.model.calibration import Calibration
from recsys.model.head import head_size
from recsys.ranking.recommender import Recommender
from recsys.registry.card import model_card
from recsys.registry.client import refuse_unreadable
from recsys.registry.feature_lock import FEATURES_SECTION, features_section
from recsys.registry.lineage import lineage
from recsys.registry.loading import MODEL_SECTION, TRAINING_SECTION
from recsys.training.config import TrainConfig
from recsys.training.dataset import Dataset
from recsys.training.memory_estimate import refuse_what_does_not_fit
from recsys.training.progress import Progress, Silent
from recsys.workspace import Workspace

if TYPE_CHECKING:
    import numpy as np

    from recsys.training.fit import Fitted

UNREGISTERED = "unregistered"


@dataclass(frozen=True, slots=True)
class TrainResult:
    """What a training run gave.

    Attributes:
        workspace: its name.
        run_id: MLflow's run.
        model_version: the version it registered.
        content_hash: of the snapshot's model-defining files.
        snapshot: folder of the local copy.
        metrics: `validation` holds the model's figures, `validation_<scorer>` those of what it is compared with.
        counts: users, events and targets trained on.
        reused: True when an earlier run on the same data, configuration and code was still valid.
        new_events: events in the log that came after the ones trained on.
        seconds: how long it took.
    """

    workspace: str
    run_id: str
    model_version: str
    content_hash: str
    snapshot: str
    metrics: Mapping[str, Mapping[str, float]]
    counts: Mapping[str, int]
    reused: bool
    new_events: int
    seconds: float

    def as_dict(self) -> dict[str, object]:
        """Plain values, for --json."""
        return asdict(self)


def train(
    workspace: Workspace,
    config: TrainConfig,
    *,
    progress: Progress | None = None,
    reuse_within: float | None = None,
) -> TrainResult:
    """Trains on everything but validation's and test's targets and registers the result. Sees validation only.

    Args:
        workspace: an existing workspace with events.
        config: everything that decides.
        progress: told how far it is.
        reuse_within: when the last run had the same configuration, schema and code, and the log has grown by no more
            than this share since, that run's version is returned instead; None always trains.

    Raises:
        ConfigError: the configuration cannot fit into this machine's memory.
        DataError: too few events.
        TrainingError: a loss or score is not finite, or a worker failed; nothing was registered.
        RegistryError: MLflow refused; nothing was registered.
    """
    from recsys.context.reader import FeastReader

    started = time.monotonic()
    refuse_unreadable(workspace)
    dataset = Dataset.load(workspace)
    if reuse_within is not None:
        previous = PreviousTraining.still_valid(workspace, config, dataset, reuse_within)
        if previous is not None:
            newer = EventLog(workspace.event_log).read(after=previous.log_position, upto=dataset.log_position)
            again = {"reused": True, "new_events": newer.height}
            return TrainResult(**{**previous.result, **again, "seconds": round(time.monotonic() - started, 2)})

    split = targets_of(dataset, "validation")
    refuse_what_does_not_fit(config, dataset.sizes)
    materialise(workspace)
    encoding = dataset.profile_encoding()
    fitted = _fit(dataset, dataset.encoded_profiles(encoding), config, progress or Silent())
    encoder = ContextEncoder(dataset.vocabulary, encoding, config.history_length)
    reader = FeastReader(workspace, dataset.schema)
    recommender = Recommender(fitted.model, encoder, dataset.schema, Calibration(), UNREGISTERED)
    metrics = _validation(reader, split, recommender)
    recommender = calibrated(recommender, reader, split)
    result = _register(workspace, dataset, config, recommender, fitted, metrics, started)
    PreviousTraining.remember(workspace, config, dataset, result.as_dict())
    return result


def _fit(dataset: Dataset, profile: np.ndarray, config: TrainConfig, progress: Progress) -> Fitted:
    from recsys.training.fit import fit_model

    return fit_model(
        training_sequences_of(dataset),
        profile,
        dataset.attributes,
        config,
        clock=dataset.schema.clock,
        repeats=dataset.schema.repeats,
        progress=progress,
    )


def _validation(
    reader: ContextReader, split: Split | BasketSplit, recommender: Recommender
) -> dict[str, dict[str, float]]:
    compared = evaluate_split(recommender, reader, split, {})
    named = {f"validation_{name.removeprefix(EXPERT_PREFIX).replace(' ', '_')}": own for name, own in compared.items()}
    own = named.pop(f"validation_{MODEL}")
    if not own["ndcg@10"] > 0:
        raise TrainingError("The trained model finds no validation target at all; nothing was registered.")
    return {"validation": own, **named}


def _register(
    workspace: Workspace,
    dataset: Dataset,
    config: TrainConfig,
    recommender: Recommender,
    fitted: Fitted,
    metrics: Mapping[str, Mapping[str, float]],
    started: float,
) -> TrainResult:
    from recsys.registry.snapshot import write_snapshot
    from recsys.registry.tracking import log_run

    origin = lineage(dataset) | {CALIBRATED_ON: RULE}
    model = fitted.model
    with tempfile.TemporaryDirectory(prefix="recsys-snapshot-") as scratch:
        snapshot = write_snapshot(
            Path(scratch) / "snapshot",
            tensors=model.tensors(),
            config={
                MODEL_SECTION: model.config.model_dump(mode="json"),
                TRAINING_SECTION: config.model_dump(mode="json"),
                FEATURES_SECTION: features_section(dataset.schema),
            },
            vocabulary=dataset.vocabulary,
            schema=dataset.schema,
            profile=recommender.encoder.profile.to_dict(),
            calibration=recommender.calibration.to_dict(),
            metrics={name: dict(own) for name, own in metrics.items()},
            card=model_card(dataset, config, fitted.counts, metrics, origin, protocol_of(dataset.schema)),
            lineage=origin,
        )
        record = log_run(
            workspace,
            snapshot=snapshot,
            params=config.model_dump(mode="json"),
            metrics={
                **metrics,
                "counts": {name: float(count) for name, count in fitted.counts.items()},
                "head_size": float(head_size(config.head, len(model.network.names), model.network.width)),
            },
            curves=fitted.curves,
            tags={name: str(value) for name, value in origin.items()},
        )
    from recsys.registry.local import local_name

    return TrainResult(
        workspace=workspace.name,
        run_id=record.run_id,
        model_version=record.model_version,
        content_hash=snapshot.content_hash,
        snapshot=str(workspace.snapshots / local_name(snapshot.content_hash, snapshot.snapshot_hash)),
        metrics=metrics,
        counts=fitted.counts,
        reused=False,
        new_events=0,
        seconds=round(time.monotonic() - started, 2),
    )
