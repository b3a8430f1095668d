"""The job that evaluates a registered version on a split, beside its baselines, and files the report with its run.

Each test look goes into the ledger.
"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from recsys.context.rows import feature_schema
from recsys.errors import DataError
from recsys.evaluation.calibrating import CALIBRATED_ON
from recsys.evaluation.ledger import looks_before, record_look
from recsys.evaluation.protocol import split_name
from recsys.evaluation.report import EvaluationReport, plot_folder, report_files
from recsys.evaluation.report_baselines import report_baselines
from recsys.evaluation.run import evaluate_in_full
from recsys.evaluation.workspace_protocol import protocol_of, targets_of, training_sequences_of
from recsys.jobs.materialise import materialise
from recsys.registry.chosen import chosen_version
from recsys.registry.evaluations import log_evaluation
from recsys.registry.feature_lock import refuse_other_features
from recsys.registry.lineage import code_commit
from recsys.registry.loading import load_recommender
from recsys.training.dataset import Dataset
from recsys.workspace import Workspace


def evaluate(workspace: Workspace, *, split: str = "validation", version: str | None = None) -> EvaluationReport:
    """Ranks every target of a split among the whole catalogue, under the model and under its baselines.

    The workspace's schema decides the protocol: next basket, or leave-one-out.

    Targets come from the events that the model was trained with the knowledge of. Of events appended since, only late
    ones, which happened before a target, join its context.

    Args:
        workspace: an existing workspace with a registered model.
        split: validation or test.
        version: a registered version; None is the champion, or the latest version where there is no champion yet.

    Returns:
        The report; it is also written to the workspace's reports folder and filed with the version's MLflow run.

    Raises:
        ConfigError: no such split or version, or nothing trained yet.
        DataError: the log no longer holds what the model was trained on.
        RegistryError: MLflow did not take the report, which lies in the reports folder all the same.
    """
    from recsys.context.reader import FeastReader

    started = time.monotonic()
    name = split_name(split)
    chosen = chosen_version(workspace, version)
    recommender = load_recommender(chosen.snapshot, chosen.version)
    dataset = Dataset.load(workspace, upto=_log_position(chosen.snapshot.lineage))
    again = f"Train again on the present features: recsys train --workspace {workspace.name}"
    refuse_other_features(chosen.snapshot, feature_schema(dataset.schema), "the workspace has", again)
    if dataset.vocabulary != recommender.vocabulary:
        raise DataError(
            f"The event log of '{workspace.name}' no longer holds the items that version {chosen.version} was trained "
            f"on (it was replaced or rebuilt). Train again: recsys train --workspace {workspace.name}"
        )
    materialise(workspace)
    targets = targets_of(dataset, name)
    train = training_sequences_of(dataset)
    beside = report_baselines(dataset, train, name)
    found = evaluate_in_full(
        recommender,
        FeastReader(workspace, dataset.schema),
        targets,
        beside.scorers,
        training_counts=np.bincount(train.items - 1, minlength=len(dataset.vocabulary)),
        calibrated_on=chosen.snapshot.lineage.get(CALIBRATED_ON),
        histories=beside.histories,
    )
    report = EvaluationReport(
        workspace=workspace.name,
        model_version=chosen.version,
        content_hash=chosen.snapshot.content_hash,
        split=name,
        users=len(targets),
        items=len(dataset.vocabulary),
        metrics=found.metrics,
        tuned=beside.tuned,
        test_looks_before=looks_before(workspace),
        seconds=round(time.monotonic() - started, 2),
        lineage=chosen.snapshot.lineage,
        repeats=dataset.schema.repeats,
        protocol=protocol_of(dataset.schema),
        sections=found.sections,
    )
    if name == "test":
        record_look(
            workspace,
            {
                "at": datetime.now(UTC).isoformat(timespec="seconds"),
                "commit": code_commit(),
                "model_version": chosen.version,
                "content_hash": chosen.snapshot.content_hash,
                "config": chosen.snapshot.config,
                "metrics": {scorer: dict(own) for scorer, own in found.metrics.items()},
            },
        )
    files = [*report.save(workspace.reports), plot_folder(workspace.reports, name, chosen.version)]
    log_evaluation(workspace, chosen.version, split=name, metrics=found.metrics, files=files)
    return report


def report_paths(workspace: Workspace, report: EvaluationReport) -> tuple[Path, Path]:
    """Where `evaluate` wrote the report: JSON and Markdown."""
    return report_files(workspace.reports, report.split, report.model_version)


def kept_report(workspace: Workspace, split: str, version: str, content_hash: str) -> EvaluationReport | None:
    """An earlier report on the same version and split, None when there is none to reuse."""
    as_json, _ = report_files(workspace.reports, split, version)
    try:
        stored = json.loads(as_json.read_text())
        return EvaluationReport.from_dict(stored) if stored["content_hash"] == content_hash else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _log_position(lineage: object) -> int:
    position = lineage.get("log_position") if isinstance(lineage, dict) else None
    if not isinstance(position, int):
        raise DataError("The model does not say at which log position it was trained. Train again: recsys train")
    return position
