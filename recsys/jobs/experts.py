"""The jobs about single experts: which ones a workspace's data can have, and what one of them is worth alone."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from recsys.errors import ConfigError
from recsys.evaluation.expert_alone import array_targets, figures_of
from recsys.evaluation.workspace_protocol import protocol_of, training_sequences_of
from recsys.experts.protocol import Expert
from recsys.model.scoring import BODY
from recsys.training.config import TrainConfig
from recsys.training.dataset import Dataset
from recsys.training.experts import closed_form_fits, fit_body_expert
from recsys.training.memory_estimate import refuse_expert_that_does_not_fit
from recsys.training.progress import Progress, Silent
from recsys.training.roster import RosterEntry, roster
from recsys.workspace import Workspace


@dataclass(frozen=True, slots=True)
class ExpertEvaluation:
    """What one expert is worth alone, on validation.

    Attributes:
        workspace: its name.
        name: the expert's name in the configuration.
        kind: which kind of expert it is.
        protocol: what it was judged by.
        users: how many targets there were.
        items: size of the vocabulary.
        metrics: `ndcg@k`, `hr@k`, `mrr`, and `recall@k` where targets are baskets.
        settings: its configuration.
        load_seconds: reading the workspace.
        fit_seconds: fitting the expert.
        evaluate_seconds: ranking every target.
        tensor_bytes: of all that was fitted.
        peak_bytes: the most memory this process ever took; the body's workers are processes of their own.
    """

    workspace: str
    name: str
    kind: str
    protocol: str
    users: int
    items: int
    metrics: Mapping[str, float]
    settings: Mapping[str, object]
    load_seconds: float
    fit_seconds: float
    evaluate_seconds: float
    tensor_bytes: int
    peak_bytes: int

    def as_dict(self) -> dict[str, object]:
        """Plain values, for --json."""
        return asdict(self)


def list_experts(workspace: Workspace, config: TrainConfig) -> list[RosterEntry]:
    """Every expert of the configuration, and why the workspace's data do without it where they do.

    Args:
        workspace: an existing workspace with events.
        config: everything that decides.

    Raises:
        DataError: there is no positive event.
    """
    return _roster(Dataset.load(workspace), config)


def evaluate_expert(
    workspace: Workspace, name: str, config: TrainConfig, *, progress: Progress | None = None
) -> ExpertEvaluation:
    """Fits one expert on the training events of everyone and ranks every validation target by it. Registers nothing.

    Args:
        workspace: an existing workspace with events.
        name: the expert's name in the configuration.
        config: everything that decides.
        progress: told how far the body is.

    Raises:
        ConfigError: the workspace's data have no such expert, or it does not fit into memory.
        DataError: too few events.
        TrainingError: a score is not finite, a ridge is too small, or a worker failed.
    """
    started = time.monotonic()
    dataset = Dataset.load(workspace)
    entry = _entry(workspace, name, _roster(dataset, config))
    targets = array_targets(dataset)
    refuse_expert_that_does_not_fit(config, name, dataset.sizes)
    loaded = time.monotonic()
    expert = _fitted(dataset, name, config, progress or Silent())
    fitted = time.monotonic()
    metrics = figures_of(expert.score, targets, history_length=config.history_length)
    return ExpertEvaluation(
        workspace=workspace.name,
        name=name,
        kind=entry.kind,
        protocol=protocol_of(dataset.schema),
        users=len(targets),
        items=len(dataset.vocabulary),
        metrics=metrics,
        settings=entry.settings,
        load_seconds=round(loaded - started, 3),
        fit_seconds=round(fitted - loaded, 3),
        evaluate_seconds=round(time.monotonic() - fitted, 3),
        tensor_bytes=sum(tensor.nbytes for tensor in expert.tensors().values()),
        peak_bytes=_peak_bytes(),
    )


def _roster(dataset: Dataset, config: TrainConfig) -> list[RosterEntry]:
    return roster(
        config,
        n_items=len(dataset.vocabulary),
        n_attributes=dataset.attributes.n_attributes,
        clock=dataset.schema.clock,
        repeats=dataset.schema.repeats,
    )


def _entry(workspace: Workspace, name: str, entries: list[RosterEntry]) -> RosterEntry:
    for entry in entries:
        if entry.name == name and entry.missing is None:
            return entry
    why = next((f": {entry.missing}" for entry in entries if entry.name == name), "")
    there = ", ".join(entry.name for entry in entries if entry.missing is None)
    raise ConfigError(f"The workspace '{workspace.name}' has no expert '{name}'{why}. It has {there}.")


def _fitted(dataset: Dataset, name: str, config: TrainConfig, progress: Progress) -> Expert:
    train, schema = training_sequences_of(dataset), dataset.schema
    if name == BODY:
        return fit_body_expert(train, dataset.attributes, config, progress, clock=schema.clock).expert
    fits = closed_form_fits(train, dataset.attributes, config, clock=schema.clock, repeats=schema.repeats)
    return fits[name]()


def _peak_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
