"""The job that fills the feature store from the event log and the catalogue: definitions, offline rows, online rows."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass

from recsys.context.engine import Engine
from recsys.context.folding import RowFolder
from recsys.context.layout import configuration_file, is_configured_here
from recsys.context.online_presence import forget_online, is_online, mark_online
from recsys.context.parts import height
from recsys.context.state import Inputs, Materialised
from recsys.data.schema import WorkspaceSchema
from recsys.errors import ConfigError
from recsys.workspace import Workspace

CUTS = (0, 1, 2)
"""All events; those before the last interaction (the test target); those before the one before it (validation)."""


@dataclass(frozen=True, slots=True)
class MaterialiseResult:
    """What a materialisation did.

    Attributes:
        workspace: name of the workspace.
        feature_service: the versioned name of what can be read now.
        schema_hash: SHA-256 of what shapes a row.
        log_position: sequence of the newest event folded in.
        users: users with a row online.
        offline_rows: rows of past moments.
        reused: True when the stored rows were still valid and nothing was written.
        seconds: how long it took.
    """

    workspace: str
    feature_service: str
    schema_hash: str
    log_position: int
    users: int
    offline_rows: int
    reused: bool
    seconds: float

    def as_dict(self) -> dict[str, object]:
        """Plain values, for --json."""
        return {name: getattr(self, name) for name in self.__slots__}


def materialise(workspace: Workspace, cuts: Sequence[int] = CUTS) -> MaterialiseResult:
    """Applies the definitions, writes the offline rows and brings the newest ones online.

    Rows that are still valid are reused: the same log, catalogue, schema and cuts need no work.

    Args:
        workspace: an existing workspace.
        cuts: 0 for all events, k for those before each user's k-th last interaction.

    Raises:
        ConfigError: the cuts lack 0, repeat or are negative.
        FeatureStoreError: the store cannot be written.
    """
    started = time.monotonic()
    if 0 not in cuts or len(set(cuts)) != len(cuts) or min(cuts) < 0:
        raise ConfigError(f"cuts is {tuple(cuts)}; it needs 0 (all events) and no number twice or below 0.")
    schema = WorkspaceSchema.load(workspace.schema_file)
    inputs = Inputs.present(workspace, schema, sorted(cuts))
    engine = Engine.of(workspace)
    last = Materialised.last(workspace)
    if last is not None and last.inputs == inputs and _still_there(workspace, engine, last):
        return _result(workspace, last, reused=True, seconds=time.monotonic() - started)

    from recsys.context.store import FeatureStoreAdapter

    store = FeatureStoreAdapter(workspace, schema)
    store.apply()
    parts = store.write_offline(RowFolder.of(workspace, schema).chunks(inputs.cuts))
    users = store.materialise()
    done = Materialised(
        inputs=inputs,
        parts=tuple(parts),
        users=users,
        offline_rows=sum(height(part) for part in parts),
        online=mark_online(workspace, engine),
        seconds=round(time.monotonic() - started, 3),
    )
    done.save(workspace)
    return _result(workspace, done, reused=False, seconds=done.seconds)


def forget(workspace: Workspace) -> None:
    """Removes the feature store with all its rows; `materialise` makes it anew from the event log.

    Raises:
        FeatureStoreError: its online store is elsewhere and cannot be reached.
    """
    forget_online(workspace, Engine.of(workspace))
    shutil.rmtree(workspace.feature_store, ignore_errors=True)


def _still_there(workspace: Workspace, engine: Engine, last: Materialised) -> bool:
    configured = configuration_file(workspace).is_file() and is_configured_here(workspace, engine)
    return configured and is_online(workspace, engine, last.online)


def _result(workspace: Workspace, done: Materialised, *, reused: bool, seconds: float) -> MaterialiseResult:
    return MaterialiseResult(
        workspace=workspace.name,
        feature_service=done.inputs.feature_service,
        schema_hash=done.inputs.schema_hash,
        log_position=done.inputs.log_position,
        users=done.users,
        offline_rows=done.offline_rows,
        reused=reused,
        seconds=round(seconds, 3),
    )


@dataclass(frozen=True, slots=True)
class FeatureStatus:
    """How the feature store stands to its event log.

    Attributes:
        workspace: name of the workspace.
        last: the last materialisation, None when there is none.
        log_position: sequence of the log's newest event.
        stale: what has changed since: "log", "catalogue", "schema", "definitions".
    """

    workspace: str
    last: Materialised | None
    log_position: int
    stale: tuple[str, ...]

    def as_dict(self) -> dict[str, object]:
        """Plain values, for --json."""
        return {
            "workspace": self.workspace,
            "materialised": self.last is not None,
            "feature_service": None if self.last is None else self.last.inputs.feature_service,
            "materialised_position": None if self.last is None else self.last.inputs.log_position,
            "log_position": self.log_position,
            "users": 0 if self.last is None else self.last.users,
            "offline_rows": 0 if self.last is None else self.last.offline_rows,
            "stale": list(self.stale),
        }

    def sentence(self) -> str:
        """For people."""
        materialise = f"recsys features materialise --workspace {self.workspace}"
        if self.last is None:
            return f"There are no features yet. Make them with: {materialise}"
        held = (
            f"{self.last.users:,} users online, {self.last.offline_rows:,} rows of past moments offline, folded at log "
            f"position {self.last.inputs.log_position:,} ({self.last.inputs.feature_service})."
        )
        if not self.stale:
            return f"{held} Nothing has changed since."
        return (
            f"{held} Changed since: {', '.join(self.stale)} (the log is at {self.log_position:,}). New events are "
            f"folded in as rows are read; to store them: {materialise}"
        )


def feature_status(workspace: Workspace) -> FeatureStatus:
    """Compares what is stored with what it would be made from now. Reads no row."""
    schema = WorkspaceSchema.load(workspace.schema_file)
    last = Materialised.last(workspace)
    now = Inputs.present(workspace, schema, CUTS if last is None else last.inputs.cuts)
    parts = {"log": "log_position", "catalogue": "catalogue", "schema": "schema_hash", "definitions": "definitions"}
    stale = () if last is None else tuple(n for n, f in parts.items() if getattr(last.inputs, f) != getattr(now, f))
    return FeatureStatus(workspace=workspace.name, last=last, log_position=now.log_position, stale=stale)
