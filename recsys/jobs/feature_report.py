"""The job that compares contexts of now with those of the champion's training and files the report with its run."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from recsys.context.batch import FeatureRow
from recsys.context.folding import RowFolder
from recsys.context.rows import feature_rows
from recsys.durable import replace_file
from recsys.errors import ConfigError, DataError
from recsys.evaluation.drift_page import drift_page
from recsys.evaluation.feature_drift import UNKNOWN_ITEMS, FeatureDrift, compare, feature_frame
from recsys.events.log import EventLog
from recsys.registry.champion import champion
from recsys.registry.feature_reports import log_feature_report
from recsys.registry.snapshot import Snapshot, load_snapshot
from recsys.workspace import Workspace

USERS = 2_000


@dataclass(frozen=True, slots=True)
class FeatureReport:
    """Contexts of now beside those of training.

    Attributes:
        workspace: its name.
        model_version: the champion.
        run_id: the MLflow run that has the report.
        trained_at_position: where the log stood when the champion was trained.
        position: where it stands now.
        users_then: training contexts compared.
        users_now: present ones.
        unknown_item_rate: mean share of a present history that the model does not know; None without histories.
        degraded: present contexts that are fallbacks, by reason.
        features: every feature, the one that moved most first.
        files: JSON and HTML.
        seconds: how long it took.
    """

    workspace: str
    model_version: str
    run_id: str
    trained_at_position: int
    position: int
    users_then: int
    users_now: int
    unknown_item_rate: float | None
    degraded: Mapping[str, int]
    features: tuple[FeatureDrift, ...]
    files: tuple[str, ...]
    seconds: float

    def as_dict(self) -> dict[str, object]:
        """Plain values, for --json."""
        plain = {name: getattr(self, name) for name in self.__slots__}
        return {**plain, "features": [drift.as_dict() for drift in self.features]}


def feature_report(workspace: Workspace, *, users: int = USERS, newest: bool = False) -> FeatureReport:
    """Compares live contexts with training's, writes JSON and HTML, and files both with the champion's run.

    Args:
        workspace: an existing workspace with a champion.
        users: how many users a side; always the same ones of the same log.
        newest: the present side are the users of whom an event was received last, instead of a sample of all.

    Raises:
        ConfigError: there is no champion, or `users` is not positive.
        DataError: there are no contexts to compare, or the champion does not say at which position it was trained.
        FeatureStoreError: the store cannot be read, or has another version of the features.
        RegistryError: the registry cannot be read or written.
    """
    from recsys.context.reader import FeastReader

    started = time.monotonic()
    if users < 1:
        raise ConfigError(f"users is {users}; compare at least one user.")
    found = champion(workspace)
    snapshot = load_snapshot(found.folder, snapshot_hash=found.snapshot_hash)
    trained_at = _trained_at(snapshot)
    log = EventLog(workspace.event_log)
    position = log.position()
    reader = FeastReader(workspace, snapshot.schema)
    people = log.newest_users(users) if newest else _sampled(log.users(position), users)
    live = reader.online(people)
    then = _as_of_training(workspace, snapshot, _sampled(log.users(trained_at), users), trained_at)
    if not live or not then:
        raise DataError(f"The event log of '{workspace.name}' has no users to compare.")
    known = frozenset(snapshot.vocabulary)
    frames = [feature_frame(rows, known, snapshot.schema) for rows in (then, live)]
    features = compare(*frames)
    rate = next(drift.mean_now for drift in features if drift.name == UNKNOWN_ITEMS)
    reasons = [row.degraded for row in live if row.degraded is not None]
    facts: dict[str, object] = {
        "workspace": workspace.name,
        "model_version": found.version,
        "trained_at_position": trained_at,
        "position": position,
        "users_then": len(then),
        "users_now": len(live),
        "unknown_item_rate": rate,
        "degraded": {reason: reasons.count(reason) for reason in sorted(set(reasons))},
    }
    files = _written(workspace, facts, features)
    figures = {f"psi.{drift.name}": drift.psi for drift in features}
    figures |= {} if rate is None else {UNKNOWN_ITEMS: rate}
    run_id = log_feature_report(workspace, found.version, figures=figures, files=files)
    return FeatureReport(
        **facts,  # type: ignore[arg-type]
        run_id=run_id,
        features=tuple(features),
        files=tuple(str(path) for path in files),
        seconds=round(time.monotonic() - started, 2),
    )


def _as_of_training(workspace: Workspace, snapshot: Snapshot, people: Sequence[str], position: int) -> list[FeatureRow]:
    rows = RowFolder.of(workspace, snapshot.schema).now(people, upto=position)
    return feature_rows(rows.to_dict(as_series=False), snapshot.schema)


def _sampled(user_ids: Sequence[str], number: int) -> list[str]:
    """Those with the smallest hashes: a user of both sides is in both samples or in neither, as far as they reach."""
    return sorted(user_ids, key=lambda user_id: hashlib.blake2b(user_id.encode(), digest_size=8).digest())[:number]


def _trained_at(snapshot: Snapshot) -> int:
    position = snapshot.lineage.get("log_position")
    if not isinstance(position, int):
        raise DataError("The champion does not say at which log position it was trained. Train again: recsys train")
    return position


def _written(workspace: Workspace, facts: Mapping[str, object], features: Sequence[FeatureDrift]) -> list[Path]:
    stem = workspace.reports / f"features-{facts['model_version']}"
    plain = {**facts, "features": [drift.as_dict() for drift in features]}
    paths = [stem.with_suffix(suffix) for suffix in (".json", ".html")]
    replace_file(paths[0], orjson.dumps(plain, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    title = f"Features of {workspace.name}: now and as version {facts['model_version']} was trained"
    replace_file(paths[1], drift_page(title, facts, features).encode())
    return paths
