"""The job that fills the feature store from the event log and the catalogue: definitions, offline rows, online rows."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial

from recsys.context.engine import Engine
from recsys.context.folding import RowFolder
from recsys.context.item_rows import item_rows
from recsys.context.layout import configuration_file, former_online_server, is_configured_here
from recsys.context.online_presence import forget_online, is_online, leave_online, mark_online
from recsys.context.parts import height
from recsys.context.removal import remove_store
from recsys.context.rows import feature_schema
from recsys.context.state import Inputs, Materialised
from recsys.data.schema import WorkspaceSchema
from recsys.errors import ConfigError, RecsysError
from recsys.events.catalogue_changes import CatalogueChanges
from recsys.events.lease import FoldLease, Guard, maintenance
from recsys.failpoints import Failpoint, reached
from recsys.jobs.delete_users import finish_deletions
from recsys.jobs.served_features import served_schemas
from recsys.workspace import Workspace

_log = logging.getLogger(__name__)

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


def materialise(workspace: Workspace, cuts: Sequence[int] = CUTS, *, rebuild: bool = False) -> MaterialiseResult:
    """Applies the definitions, writes the offline rows and brings the newest ones online.

    Rows that are still valid are reused: the same log, catalogue, schema and cuts need no work. While the champion
    reads another version of the features than the workspace's schema asks for, that one is kept up as well. It holds
    the workspace's lease while it writes; a service that held it stands by meanwhile.

    Args:
        workspace: an existing workspace.
        cuts: 0 for all events, k for those before each user's k-th last interaction.
        rebuild: remove the feature store with all its rows first, for one that is damaged.

    Raises:
        ConfigError: the cuts lack 0, repeat or are negative.
        LeaseError: another job is changing the feature store all the time, or took over from this one.
        FeatureStoreError: the store cannot be written.
    """
    started = time.monotonic()
    if 0 not in cuts or len(set(cuts)) != len(cuts) or min(cuts) < 0:
        raise ConfigError(f"cuts is {tuple(cuts)}; it needs 0 (all events) and no number twice or below 0.")
    lease = FoldLease(workspace.event_log)
    if rebuild:
        with maintenance(lease, "rebuild the feature store") as token:
            forget(workspace, partial(lease.guarded, token))
    finish_deletions(workspace)
    CatalogueChanges(workspace.event_log).complete()
    own, *others = served_schemas(workspace)
    last = _valid(workspace, own, sorted(cuts))
    outdated = [schema for schema in others if _valid(workspace, schema, sorted(cuts)) is None]
    if last is not None and not outdated:
        return _result(workspace, last, reused=True, seconds=time.monotonic() - started)
    with maintenance(lease, "materialise features") as token:
        for schema in outdated:
            _written(workspace, schema, sorted(cuts), lease, token)
        done = last or _written(workspace, own, sorted(cuts), lease, token)
    return _result(workspace, done, reused=last is not None, seconds=time.monotonic() - started)


def forget(workspace: Workspace, guard: Guard = nullcontext) -> None:
    """Removes the feature store with all its rows; `materialise` makes it anew from the event log.

    Args:
        workspace: whose.
        guard: entered for the moment in which the files go (`FoldLease.guarded`).

    Raises:
        FeatureStoreError: its online store is elsewhere and cannot be reached.
    """
    engine = Engine.of(workspace)
    with guard():
        _forget_former(workspace, engine)
        forget_online(workspace, engine)
        remove_store(workspace)


def _forget_former(workspace: Workspace, engine: Engine) -> None:
    """Rows on a server that the settings name no longer. One that is gone for good keeps nobody from a new store."""
    server = former_online_server(workspace, engine)
    if server is None:
        return
    try:
        leave_online(workspace, Engine(online_store=server))
    except RecsysError as error:
        _log.warning("rows of '%s' may be left on the former online store: %s", workspace.name, error)


def _valid(workspace: Workspace, schema: WorkspaceSchema, cuts: Sequence[int]) -> Materialised | None:
    """The last materialisation of a schema's version, if it would be the same now and its rows are still there."""
    last = Materialised.last(workspace, feature_schema(schema))
    if last is None or last.inputs != Inputs.present(workspace, schema, cuts):
        return None
    engine = Engine.of(workspace)
    configured = configuration_file(workspace).is_file() and is_configured_here(workspace, engine)
    return last if configured and is_online(workspace, engine, last.online) else None


def _written(
    workspace: Workspace, schema: WorkspaceSchema, cuts: Sequence[int], lease: FoldLease, token: int
) -> Materialised:
    """Writes one version under the lease. Whatever a crash leaves undone, the next materialisation does."""
    from recsys.context.item_store import ItemStore
    from recsys.context.online_upkeep import OnlineUpkeep
    from recsys.context.store import FeatureStoreAdapter
    from recsys.context.user_store import UserStore

    started = time.monotonic()
    features = FeatureStoreAdapter(workspace, schema)
    features.apply()
    users = UserStore(features)
    reached(Failpoint.MATERIALISE_APPLIED)
    online = OnlineUpkeep(features)
    online.raise_fence(token)
    reached(Failpoint.MATERIALISE_FENCED)
    inputs = Inputs.present(workspace, schema, cuts)
    guard = partial(lease.guarded, token)
    parts = users.write_offline(RowFolder.of(workspace, schema).chunks(inputs.cuts), guard)
    reached(Failpoint.MATERIALISE_PARTS_REPLACED)
    written = users.materialise(token)
    reached(Failpoint.MATERIALISE_ROWS_WRITTEN)
    ItemStore(features).write(item_rows(workspace, schema, inputs.log_position), token, guard)
    reached(Failpoint.MATERIALISE_ITEMS_WRITTEN)
    online.delete_older(inputs.log_position, token)
    reached(Failpoint.MATERIALISE_OLDER_ROWS_GONE)
    online.note_folded(inputs.log_position, token)
    reached(Failpoint.MATERIALISE_NOTED)
    done = Materialised(
        inputs=inputs,
        parts=tuple(parts),
        users=written,
        offline_rows=sum(height(part) for part in parts),
        online=mark_online(workspace, features.engine),
        seconds=round(time.monotonic() - started, 3),
    )
    with guard():
        done.save(workspace, features.version)
    reached(Failpoint.MATERIALISE_SAVED)
    return done


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
