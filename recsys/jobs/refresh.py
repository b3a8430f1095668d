"""The job between two trainings: the champion's body and heads stay, its closed-form experts follow the log."""

from __future__ import annotations

import time
from dataclasses import dataclass

from recsys.context.sequences import Sequences
from recsys.errors import ConfigError, DataError
from recsys.evaluation.calibrating import calibrated
from recsys.evaluation.workspace_protocol import targets_of, training_sequences_of
from recsys.experts.changes import changes
from recsys.jobs.materialise import materialise
from recsys.jobs.registering import UNREGISTERED, TrainResult, register_model, validation_metrics
from recsys.model.calibration import Calibration
from recsys.model.personal import PersonalModel
from recsys.ranking.recommender import Recommender
from recsys.registry.card import body_position
from recsys.registry.champion import opened_champion
from recsys.registry.loading import TRAINING_SECTION, load_recommender
from recsys.registry.locks import exclusive
from recsys.training.config import TrainConfig
from recsys.training.dataset import Dataset
from recsys.training.experts import closed_form_fits
from recsys.training.following import follow
from recsys.training.kept_counts import Counted, KeptCounts, digest
from recsys.training.progress import Progress, Silent
from recsys.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What a refresh gave.

    Attributes:
        trained: the version it registered and what that measured.
        champion: the version whose body and heads it has.
        counted_whole: whether there were no counts that could follow the log.
    """

    trained: TrainResult
    champion: str
    counted_whole: bool

    def as_dict(self) -> dict[str, object]:
        """Plain values, for --json."""
        return {**self.trained.as_dict(), "champion": self.champion, "counted_whole": self.counted_whole}


def refresh(workspace: Workspace, *, progress: Progress | None = None) -> Refreshed:
    """Registers a version with the champion's body and heads, its other experts fitted on the log as it is now.

    Items that the champion does not know wait for the next training. Probabilities are calibrated anew.

    Args:
        workspace: whose champion.
        progress: told how far it is.

    Raises:
        ConfigError: there is no champion, or the data have experts that it lacks, or lack some that it has.
        DataError: too few events, or some were removed meanwhile; nothing was registered.
        TrainingError: a ridge is too small, or the result finds nothing; nothing was registered.
        RegistryError: another refresh is under way, or MLflow refused; nothing was registered.
        SnapshotError: the champion is damaged, or reads other features than the workspace's.
    """
    with exclusive(workspace.root / "refresh.lock", "refresh"):
        return _refresh(workspace, progress or Silent())


def _refresh(workspace: Workspace, progress: Progress) -> Refreshed:
    from recsys.context.reader import FeastReader

    started = time.monotonic()
    champion, snapshot = opened_champion(workspace)
    present = load_recommender(snapshot, champion.version)
    dataset = Dataset.load(workspace, vocabulary=snapshot.vocabulary)
    if dataset.schema != snapshot.schema:
        raise ConfigError(
            f"The champion, version {champion.version}, was trained when the schema of '{workspace.name}' was another "
            f"one. Train again: recsys train --workspace {workspace.name}"
        )
    config = TrainConfig.model_validate(snapshot.config[TRAINING_SECTION])
    kinds = {"clock": dataset.schema.clock, "repeats": dataset.schema.repeats}
    sequences = training_sequences_of(dataset)
    network = present.model.network
    names = list(closed_form_fits(sequences, dataset.attributes, config, **kinds))
    if set(names) != set(network.others):
        raise ConfigError(
            f"The champion, version {champion.version}, has the experts {', '.join(network.others)}; these data have "
            f"{', '.join(names)}. Train again: recsys train --workspace {workspace.name}"
        )
    split = targets_of(dataset, "validation")
    materialise(workspace)
    kept = KeptCounts(workspace.counts)
    before = _counted_before(workspace, dataset, kept)
    if before is None:
        kept.forget()
    experts = follow(
        sequences,
        changes(sequences if before is None else before, sequences),
        Counted(dataset.log_position, digest(sequences, dataset.vocabulary)),
        kept,
        dataset.attributes,
        config,
        progress=progress,
        **kinds,
    )
    if (
        _counted_before(workspace, dataset, kept) is None
    ):  # a deletion that comes later finds the counts and removes them
        kept.forget()
        raise DataError("Events were removed from the log while they were counted; nothing was registered. Try again.")
    model = PersonalModel(
        present.model.config,
        network.replaced(others={name: experts[name] for name in network.others}),
        present.model.hypernetwork,
        present.model.shared,
    )
    reader = FeastReader(workspace, dataset.schema)
    uncalibrated = Recommender(model, present.encoder, dataset.schema, Calibration(), UNREGISTERED)
    metrics = validation_metrics(reader, split, uncalibrated)
    trained = register_model(
        workspace,
        dataset,
        config,
        calibrated(uncalibrated, reader, split),
        metrics,
        started,
        counts={"users": len(sequences), "events": len(sequences.items)},
        curves={},
        begun_from=champion.version,
        body_position=body_position(snapshot.lineage),
    )
    return Refreshed(trained, champion.version, counted_whole=before is None)


def _counted_before(workspace: Workspace, dataset: Dataset, kept: KeptCounts) -> Sequences | None:
    """The sequences that the kept counts are of, while the log still says so: what was deleted since has to go."""
    counted = kept.state()
    if counted is None or counted.position > dataset.log_position:
        return None
    try:
        then = Dataset.load(workspace, counted.position, dataset.vocabulary)
        sequences = training_sequences_of(then)
    except DataError:
        return None
    return sequences if digest(sequences, then.vocabulary) == counted.digest else None
