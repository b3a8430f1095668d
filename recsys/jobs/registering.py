"""The last steps of every job that makes a model: judge it on validation, write its snapshot, register a version."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from recsys.context.reader import ContextReader
from recsys.errors import TrainingError
from recsys.evaluation.calibrating import CALIBRATED_ON, RULE
from recsys.evaluation.full_ranking import EXPERT_PREFIX, MODEL
from recsys.evaluation.next_basket import BasketSplit
from recsys.evaluation.protocol import Split
from recsys.evaluation.run import evaluate_split
from recsys.evaluation.workspace_protocol import protocol_of
from recsys.model.head import head_size
from recsys.ranking.large import LargeCatalogue
from recsys.ranking.recommender import Recommender
from recsys.registry.card import BEGUN_FROM, BODY_POSITION, model_card
from recsys.registry.feature_lock import FEATURES_SECTION, features_section
from recsys.registry.lineage import lineage
from recsys.registry.loading import MODEL_SECTION, TRAINING_SECTION
from recsys.registry.local import local_name
from recsys.registry.run_files import write_run_files
from recsys.registry.snapshot import write_snapshot
from recsys.registry.tracked_data import TrackedData
from recsys.registry.tracking import log_run
from recsys.registry.versions import FLOW_KEY
from recsys.training.config import TrainConfig
from recsys.training.dataset import Dataset
from recsys.workspace import Workspace

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


def validation_metrics(
    reader: ContextReader, split: Split | BasketSplit, recommender: Recommender
) -> dict[str, dict[str, float]]:
    """Figures on the validation targets of the model (`validation`) and of what it is compared with.

    Raises:
        TrainingError: the model finds no target at all.
    """
    compared = evaluate_split(recommender, reader, split, {})
    named = {f"validation_{name.removeprefix(EXPERT_PREFIX).replace(' ', '_')}": own for name, own in compared.items()}
    own = named.pop(f"validation_{MODEL}")
    if not own["ndcg@10"] > 0:
        raise TrainingError("The trained model finds no validation target at all; nothing was registered.")
    return {"validation": own, **named}


def register_model(
    workspace: Workspace,
    dataset: Dataset,
    config: TrainConfig,
    recommender: Recommender,
    metrics: Mapping[str, Mapping[str, float]],
    started: float,
    *,
    counts: Mapping[str, int],
    curves: Mapping[str, Sequence[float]],
    begun_from: str | None = None,
    body_position: int | None = None,
    key: str | None = None,
) -> TrainResult:
    """Writes the snapshot and the run's files, and registers them as the next version.

    Args:
        workspace: whose model.
        dataset: what it was trained on.
        config: everything that decided.
        recommender: the calibrated model.
        metrics: what `validation_metrics` found.
        started: `time.monotonic` when the job began.
        counts: how much was trained on what.
        curves: one value an epoch, by name.
        begun_from: the version that the body began from, None where it began from nothing.
        body_position: the log position up to which the body was fitted, None where it is the data's.
        key: what a flow knows this run by; the version is tagged with it.

    Raises:
        RegistryError: MLflow refused something; no version was registered.
    """
    origin = lineage(dataset) | {CALIBRATED_ON: RULE} | ({BEGUN_FROM: begun_from} if begun_from else {})
    origin |= {} if body_position is None else {BODY_POSITION: body_position}
    model = recommender.model
    large = LargeCatalogue.of(model, config.retrieval)
    settings = config.model_dump(mode="json")
    figures = {name: dict(own) for name, own in metrics.items()}
    card = model_card(dataset, config, counts, metrics, origin, protocol_of(dataset.schema))
    with tempfile.TemporaryDirectory(prefix="recsys-snapshot-") as scratch:
        snapshot = write_snapshot(
            Path(scratch) / "snapshot",
            tensors=model.tensors() | (large.tensors() if large else {}),
            config={
                MODEL_SECTION: model.config.model_dump(mode="json"),
                TRAINING_SECTION: settings,
                FEATURES_SECTION: features_section(dataset.schema),
            },
            vocabulary=dataset.vocabulary,
            schema=dataset.schema,
            profile=recommender.encoder.profile.to_dict(),
            calibration=recommender.calibration.to_dict(),
            metrics=figures,
            card=card,
            lineage=origin,
        )
        files = write_run_files(
            Path(scratch) / "run",
            config=settings,
            lineage=origin,
            metrics=figures,
            counts=counts,
            curves=curves,
            card=card,
        )
        record = log_run(
            workspace,
            snapshot=snapshot,
            params=settings,
            metrics={
                **metrics,
                "counts": {name: float(count) for name, count in counts.items()},
                "head_size": float(head_size(config.head, len(model.network.names), model.network.width)),
            },
            curves=curves,
            artifacts=files,
            tags={name: str(value) for name, value in origin.items()} | ({FLOW_KEY: key} if key else {}),
            data=TrackedData(
                workspace.name,
                dataset.fingerprint(),
                {
                    "log_position": dataset.log_position,
                    "events": len(dataset.sequences.items),
                    "users": len(dataset.sequences),
                    "items": len(dataset.vocabulary),
                },
            ),
            seconds=time.monotonic() - started,
        )
    return TrainResult(
        workspace=workspace.name,
        run_id=record.run_id,
        model_version=record.model_version,
        content_hash=snapshot.content_hash,
        snapshot=str(workspace.snapshots / local_name(snapshot.content_hash, snapshot.snapshot_hash)),
        metrics=metrics,
        counts=counts,
        reused=False,
        new_events=0,
        seconds=round(time.monotonic() - started, 2),
    )
