"""The job that deletes users: from the log in one transaction, then from all that was made of it, resumable anywhere.

Once the first transaction is done nothing reads, trains on or exports the users. Cleaning up what is stored of them
elsewhere can be interrupted and is taken up again by the next deletion, the next materialisation or by `recsys serve`.
Of users of whom neither log nor catalogue knows anything (deleted before, for example) no id is written down for that.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from recsys.batch.forgetting import forget_users
from recsys.columns import ITEM_ID
from recsys.context.engine import Engine
from recsys.context.layout import configuration_file, former_online_server, is_configured_here, offline_item_rows
from recsys.context.parts import remove_folded_before, remove_items, remove_users
from recsys.context.removal import remove_leftovers, remove_store
from recsys.data.schema import WorkspaceSchema
from recsys.errors import DataError, FeatureStoreError
from recsys.events.impressions import ImpressionLog
from recsys.events.lease import FoldLease, Guard, maintenance
from recsys.events.log import EventLog
from recsys.events.removals import Removals
from recsys.failpoints import Failpoint, reached
from recsys.jobs.giving_way import sweep
from recsys.jobs.profiles import remove_profiles, without_profile
from recsys.training.histories import forget_histories
from recsys.workspace import Workspace

if TYPE_CHECKING:
    from recsys.context.online_upkeep import OnlineUpkeep


@dataclass(frozen=True, slots=True)
class DeleteResult:
    """What a deletion did.

    Attributes:
        workspace: name of the workspace.
        users: how many users were asked for.
        events: events that went.
        position: the log's position afterwards; a deletion takes one of its own.
        seconds: how long it took.
    """

    workspace: str
    users: int
    events: int
    position: int
    seconds: float

    def as_dict(self) -> dict[str, object]:
        """Plain values, for --json."""
        return asdict(self)


def delete_users(workspace: Workspace, user_ids: Sequence[str]) -> DeleteResult:
    """Deletes users: events, profile, feature rows, recommendations, impressions, down to the bytes. Can be repeated.

    Args:
        workspace: an existing workspace.
        user_ids: who goes; nobody needs to be known.

    Raises:
        DataError: no or an empty id was given.
        LeaseError: another job is changing the workspace all the time.
        FeatureStoreError: the online rows could not be reached; the deletion is noted and goes on when it is repeated.
    """
    started = time.monotonic()
    if not user_ids or not all(user_ids):
        raise DataError("Give the id of the user to delete; an id is never empty.")
    lease, removals = FoldLease(workspace.event_log), Removals(workspace.event_log)
    with maintenance(lease, "delete a user") as token:
        nameless = without_profile(workspace, user_ids)
        events = removals.remove_users(user_ids, nameless)
        reached(Failpoint.DELETE_EVENTS_GONE)
        clean(workspace, lease, token, sorted(nameless.difference(removals.being_deleted())))
    position = EventLog(workspace.event_log).position()
    return DeleteResult(
        workspace.name, len(set(user_ids)), events, position, seconds=round(time.monotonic() - started, 3)
    )


def finish_deletions(workspace: Workspace) -> None:
    """Completes deletions that were interrupted. Does nothing, quickly, when there is none."""
    if Removals(workspace.event_log).are_done() and ImpressionLog.of(workspace).are_done():
        return
    lease = FoldLease(workspace.event_log)
    with maintenance(lease, "complete a deletion") as token:
        clean(workspace, lease, token)


def clean(workspace: Workspace, lease: FoldLease, token: int, strangers: Sequence[str] = ()) -> None:
    """Removes every trace of the users under deletion and of pruned events; each step can be repeated.

    Args:
        workspace: whose files and stores.
        lease: the way to its lease.
        token: of the lease that is held.
        strangers: users who go as well and of whom neither log nor catalogue knew anything.
    """
    removals, guard = Removals(workspace.event_log), partial(lease.guarded, token)
    shutil.rmtree(workspace.counts, ignore_errors=True)
    forget_histories(workspace.training)
    shown = ImpressionLog.of(workspace)
    pruned_at = removals.pruned_at()
    if pruned_at is not None:
        _clear_folded_before(workspace, pruned_at, token, guard)
        reached(Failpoint.PRUNE_ROWS_GONE)
    named = removals.being_deleted()
    user_ids = [*named, *strangers]
    if user_ids:
        remove_profiles(workspace, user_ids, guard)
        reached(Failpoint.DELETE_PROFILE_GONE)
        item_ids = _items_of_nobody(workspace)
        online = _online(workspace, guard)
        if online is not None and (named or online.holds(strangers)):
            online.delete(user_ids, item_ids, token)
        reached(Failpoint.DELETE_ONLINE_CLEAN)
        _clean_offline(workspace, user_ids, item_ids, guard)
        reached(Failpoint.DELETE_OFFLINE_CLEAN)
        for folder in _folders(workspace.recommendations):
            forget_users(folder, user_ids, guard)
        reached(Failpoint.DELETE_LISTS_CLEAN)
        shown.remove_users(user_ids)
        reached(Failpoint.DELETE_IMPRESSIONS_GONE)
        removals.forget_names(named)
        reached(Failpoint.DELETE_NAMES_FORGOTTEN)
    for place in (workspace.root, workspace.artifacts):  # a restore that was killed may have left a copy beside it
        sweep(place)
    shown.scrub()
    reached(Failpoint.DELETE_IMPRESSIONS_CLEAN)
    removals.scrub()
    reached(Failpoint.DELETE_SCRUBBED)


def _online(workspace: Workspace, guard: Guard) -> OnlineUpkeep | None:
    """The online rows; None where there are none."""
    if not configuration_file(workspace).is_file():
        return None
    engine = Engine.of(workspace)
    if former_online_server(workspace, engine) is not None:
        raise FeatureStoreError(
            f"Rows of '{workspace.name}' may lie on the online store that it had before its settings changed. Build "
            f"its store anew first: recsys features materialise --rebuild --workspace {workspace.name}"
        )
    if not is_configured_here(workspace, engine):  # a copy's store serves nobody until it is made anew
        with guard():
            remove_store(workspace)
        return None
    from recsys.context.online_upkeep import OnlineUpkeep
    from recsys.context.store import FeatureStoreAdapter

    return OnlineUpkeep(FeatureStoreAdapter(workspace, WorkspaceSchema.load(workspace.schema_file)))


def _clear_folded_before(workspace: Workspace, position: int, token: int, guard: Guard) -> None:
    """Empties every version of rows that may hold pruned events: they are folded again as they are read."""
    online = _online(workspace, guard)
    if online is None:
        return
    online.delete_older_of_every_version(position, token)
    for path in _parts(workspace, guard):
        remove_folded_before(path, position, guard)


def _items_of_nobody(workspace: Workspace) -> list[str]:
    """Items with stored rows that neither log nor catalogue know any longer: only deleted users touched them."""
    stored = {
        item_id
        for path in offline_item_rows(workspace).rglob("*.parquet")
        for item_id in pl.read_parquet(path, columns=[ITEM_ID])[ITEM_ID]
    }
    if not stored:
        return []
    listed = workspace.items_file
    in_catalogue: Iterable[str] = pl.read_parquet(listed, columns=[ITEM_ID])[ITEM_ID] if listed.is_file() else []
    return sorted(stored.difference(EventLog(workspace.event_log).items(), in_catalogue))


def _clean_offline(workspace: Workspace, user_ids: Sequence[str], item_ids: Sequence[str], guard: Guard) -> None:
    with guard():
        remove_leftovers(workspace)
    for path in _parts(workspace, guard):
        remove_users(path, user_ids, guard)
        remove_items(path, item_ids, guard)


def _parts(workspace: Workspace, guard: Guard) -> list[Path]:
    """Every parquet part of every version; unfinished ones are removed."""
    for path in workspace.feature_store.rglob("*.writing"):
        with guard():
            path.unlink(missing_ok=True)
    return sorted(workspace.feature_store.rglob("*.parquet"))


def _folders(parent: Path) -> Iterator[Path]:
    return (path for path in sorted(parent.glob("*")) if path.is_dir())
