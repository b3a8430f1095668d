"""Reads users' feature rows: as of now for serving, as of past moments for training, batch and evaluation.

A stored row that the event log has outrun is folded again from the log by the same fold, so what is read is always
exact. Rankings, models and HTTP are unknown here; Feast is behind `recsys.context.user_store`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import polars as pl

from recsys import columns
from recsys.context.batch import FeatureRow
from recsys.context.feast_import import import_feast
from recsys.context.folding import RowFolder
from recsys.context.kept_rows import KeptRow, KeptRows
from recsys.context.reasons import BROKEN_ROW, UNKNOWN_USER
from recsys.context.rows import feature_rows, feature_service_name, unknown_user
from recsys.context.user_memory import UserMemory
from recsys.data.schema import WorkspaceSchema
from recsys.deadline import check_deadline, time_budget
from recsys.errors import ConfigError, LeaseError
from recsys.events.lease import FoldLease
from recsys.events.one_user import fold_user
from recsys.events.outrun import Outrun, Outruns
from recsys.workspace import Workspace

_POSITIONS = (columns.LOG_POSITION, columns.SEEN_LOG_POSITION)


class ContextReader(Protocol):
    """Where contexts come from."""

    def online(self, user_ids: Sequence[str]) -> list[FeatureRow]:
        """One row a user, in that order, with every acknowledged event folded in."""
        ...

    def as_of(self, user_ids: Sequence[str], moments: Sequence[int]) -> list[FeatureRow]:
        """One row a (user, moment), in that order: the user's events strictly before the effective moment."""
        ...


class FeastReader:
    """Reads through Feast, folds again what is stale.

    Creating one imports Feast and opens the store: seconds, once.

    Args:
        workspace: the workspace.
        schema: its schema.
        budget: seconds that one call of `online` may take; None: as long as it takes.
        memory: keeps the rows of users who are asked for one at a time; None: each is read again.

    Raises:
        FeatureStoreError: the store has no features of this schema, or cannot be reached.
    """

    def __init__(
        self,
        workspace: Workspace,
        schema: WorkspaceSchema,
        budget: float | None = None,
        memory: UserMemory[KeptRow] | None = None,
    ) -> None:
        import_feast()
        from recsys.context.catch_up import CatchUp
        from recsys.context.store import FeatureStoreAdapter
        from recsys.context.user_store import UserStore

        self.schema = schema
        self._budget = budget
        features = FeatureStoreAdapter(workspace, schema)
        features.open()
        self._store = UserStore(features)
        self._folder = RowFolder.of(workspace, schema)
        self._catch_up = CatchUp(self._store, self._folder)
        self._lease = FoldLease(workspace.event_log)
        self._outruns = Outruns(self._folder.log, schema.name)
        owner = feature_service_name(schema)
        self._kept = None if memory is None else KeptRows(memory, owner, workspace.event_log)

    def online(self, user_ids: Sequence[str]) -> list[FeatureRow]:
        """One row a user, in that order, with every acknowledged event folded in.

        A user without a stored row is folded from log and catalogue, so a store that is incomplete, or just being built
        anew, costs time and changes no answer; one whom neither knows gets a row that is not `present`, degraded
        `unknown_user`. A stored row that the fold cannot have made is folded again; one of whom log and catalogue know
        nothing stays `broken_row`.

        Raises:
            StoreTimeoutError: store and log together did not answer within the budget.
            FeatureStoreError: the store cannot be read, or its rows are not of this log.
        """
        if not user_ids:
            return []
        with time_budget(self._budget):
            if self._kept is not None and len(user_ids) == 1:
                return [self._kept_or_read(self._kept, user_ids[0])]
            return self._read(user_ids)

    def _kept_or_read(self, rows: KeptRows, user_id: str) -> FeatureRow:
        """One user's row, from the store only where what is kept of it does not tell."""
        kept, standing = rows.standing(user_id)
        if kept is not None and standing.unchanged:
            return rows.renew(kept, standing)
        row = None if kept is None or standing.otherwise else self._folded_again(kept.row)
        return rows.keep(self._read([user_id])[0] if row is None else row, standing)

    def _read(self, user_ids: Sequence[str]) -> list[FeatureRow]:
        stored = self._store.read_online(user_ids)
        rows = feature_rows(stored, self.schema)
        outrun = self._outruns.of(user_ids, _positions(stored, rows))
        again = self._with_newer_events(rows, outrun)
        doubted = dict.fromkeys([*outrun.users, *_degraded(rows, UNKNOWN_USER)])
        stale = [user_id for user_id in (doubted | dict.fromkeys(_degraded(rows, BROKEN_ROW))) if user_id not in again]
        if stale:
            check_deadline()
            again = {user_id: unknown_user(user_id, self.schema) for user_id in doubted} | again
            again |= {str(row.user_id): row for row in self._refolded(stale)}
        return [again.get(user_id, row) for user_id, row in zip(user_ids, rows, strict=True)]

    def _with_newer_events(self, rows: Sequence[FeatureRow], outrun: Outrun) -> dict[str, FeatureRow]:
        """Rows of those of whom nothing is new but events: the profile that was stored is still theirs."""
        found: dict[str, FeatureRow] = {}
        for row in rows:
            user_id = str(row.user_id)
            if user_id in found or user_id not in outrun.by_events or user_id in outrun.otherwise or not row.present:
                continue
            if (again := self._folded_again(row)) is not None:
                found[user_id] = again
        return found

    def _folded_again(self, row: FeatureRow) -> FeatureRow | None:
        """The row with all events of its user; None where the log has none any longer."""
        check_deadline()
        events = self._folder.log.own_events(str(row.user_id))
        if not events:
            return None
        folded = fold_user(events, self.schema, self._folder.items.current().by_item)
        return replace(row, stamp=None, **folded)  # type: ignore[arg-type]

    def as_of(self, user_ids: Sequence[str], moments: Sequence[int]) -> list[FeatureRow]:
        """One row a (user, moment), in that order: the user's events strictly before the effective moment.

        The materialised cuts answer exactly the moments between two neighbouring cuts of a user; any other moment is
        folded from the log.
        """
        if len(user_ids) != len(moments):
            raise ConfigError(f"{len(user_ids)} users came with {len(moments)} moments; give one moment a user.")
        if not user_ids:
            return []
        asked = pl.DataFrame(
            {columns.USER_ID: list(user_ids), columns.EFFECTIVE_AT: list(moments)},
            schema={columns.USER_ID: pl.String(), columns.EFFECTIVE_AT: pl.Int64()},
        )
        found = self._store.read_as_of(asked)
        rows = feature_rows(found.to_dict(as_series=False), self.schema)
        outrun = self._outruns.of(user_ids, found[columns.LOG_POSITION].fill_null(0).to_list())
        stale = (
            pl.col(columns.VALID_UNTIL).is_null()
            | (pl.col(columns.EFFECTIVE_AT) > pl.col(columns.VALID_UNTIL))
            | pl.col(columns.USER_ID).is_in([*outrun.users, *_degraded(rows, BROKEN_ROW)])
        )
        exact = found.select(stale.alias("stale"))["stale"].not_()
        if exact.all():
            return rows
        folded = self._folder.before(asked.filter(~exact))
        keys = zip(folded[columns.USER_ID], folded[columns.EFFECTIVE_AT], strict=True)
        again = dict(zip(keys, feature_rows(folded.to_dict(as_series=False), self.schema), strict=True))
        return [
            row if is_exact else again.get((user_id, moment), unknown_user(user_id, self.schema))
            for row, is_exact, user_id, moment in zip(rows, exact, user_ids, moments, strict=True)
        ]

    def catch_up(self, token: int) -> bool:
        """Folds the next events' users into the online rows, for the holder of the lease: see `CatchUp.step`."""
        return self._catch_up.step(token)

    def behind(self) -> int:
        """How many places of the log the online rows have not taken in yet; reads are exact all the same."""
        return self._catch_up.behind()

    def follow_items(self) -> None:
        """Reads the categories of items, if the catalogue's file is another one, so that no later call has to.

        Raises:
            DataError: the file is damaged.
        """
        _ = self._folder.items.current().by_item

    def refresh(self, user_ids: Sequence[str]) -> bool:
        """Folds these users' rows as of now and writes them online, if no other process holds the lease.

        Returns:
            Whether they were written; when not, whoever holds the lease will, and reads are exact all the same.
        """
        token = self._lease.acquire("serving")
        if token is None:
            return False
        try:
            self._store.push(self._folder.now(user_ids), token)
        except LeaseError:
            return False
        finally:
            self._lease.release(token)
        return True

    def _refolded(self, user_ids: Sequence[str]) -> list[FeatureRow]:
        return feature_rows(self._folder.now(user_ids).to_dict(as_series=False), self.schema)


def _positions(stored: Mapping[str, Sequence[object]], rows: Sequence[FeatureRow]) -> list[int]:
    """Where the log stood when each row was folded; the earlier one while a row's two views are being rewritten.

    0 where there is no row, or none that can be believed.
    """
    return [
        min(int(str(position)), int(str(seen))) if row.present else 0
        for row, position, seen in zip(rows, *(stored[name] for name in _POSITIONS), strict=True)
    ]


def _degraded(rows: Sequence[FeatureRow], reason: str) -> list[str]:
    return [str(row.user_id) for row in rows if row.degraded == reason]
