"""Stored rows straight from the truth: the event log folded, the catalogue's profiles joined in.

Every row in the feature store, offline or online, comes from here; it knows no store.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import polars as pl

from recsys import columns
from recsys.context.catalogue_files import CategoryFile, next_user_ids, read_profiles
from recsys.context.rows import FOREVER, row_schema
from recsys.data.schema import WorkspaceSchema
from recsys.events.fold import FOLD_SCHEMA, fold
from recsys.events.log import EventLog
from recsys.events.ordering import interactions, positions_back
from recsys.workspace import Workspace

BEGINNING = -2_208_988_800_000_000
"""1900-01-01 in microseconds: the effective moment of the row that says "no event yet"."""

USERS_A_CHUNK = 5_000
"""How many users' rows are built at a time; with 200 events each that is a million events in memory."""

_ROUND = "round"


@dataclass(frozen=True, slots=True)
class RowFolder:
    """Folds users' rows.

    Attributes:
        schema: the workspace's schema.
        log: the workspace's event log.
        users_file: the catalogue's users; profiles are read from it each time, so that a new import shows at once.
        items: the categories of items, likewise.
    """

    schema: WorkspaceSchema
    log: EventLog
    users_file: Path
    items: CategoryFile

    @classmethod
    def of(cls, workspace: Workspace, schema: WorkspaceSchema) -> Self:
        """The folder of a workspace."""
        return cls(
            schema=schema,
            log=EventLog(workspace.event_log),
            users_file=workspace.users_file,
            items=CategoryFile(workspace.items_file, schema),
        )

    def now(self, user_ids: Sequence[str], upto: int | None = None) -> pl.DataFrame:
        """Rows with every event of the log folded in.

        Args:
            user_ids: whose rows.
            upto: as of a log position, without the events that were received later; None: the present one.

        Returns:
            Columns of `row_schema` and `effective_at`; one row for each user that the log or the catalogue knows.
        """
        position = self.log.position() if upto is None else upto
        wanted = pl.DataFrame({columns.USER_ID: list(user_ids)}, schema={columns.USER_ID: pl.String()}).unique()
        events = self.log.read(user_ids, upto=position)
        return self._rows(self._known(events, wanted), self._fold(events), position)

    def before(self, moments: pl.DataFrame, upto: int | None = None) -> pl.DataFrame:
        """Rows as of moments: only a user's events strictly before them are folded in.

        Args:
            moments: user_id, effective_at; a user may come with several moments.
            upto: as of a log position, without the events that were received later; None: the present one.

        Returns:
            Columns of `row_schema`, and `effective_at` as asked for; one row for each distinct pair whose user the
            log or the catalogue knows.
        """
        position = self.log.position() if upto is None else upto
        asked = moments.select(columns.USER_ID, columns.EFFECTIVE_AT).unique()
        events = self.log.read(asked[columns.USER_ID].unique().to_list(), upto=position)
        numbered = asked.with_columns(pl.int_range(pl.len()).over(columns.USER_ID).alias(_ROUND))
        rounds = [
            self._rows(self._known(events, once), self._fold(events, once), position, once)
            for once in numbered.partition_by(_ROUND, include_key=False)
        ]
        return pl.concat(rounds) if rounds else self._rows(asked, self._fold(events), position)

    def chunks(self, cuts: Sequence[int], users: int = USERS_A_CHUNK) -> Iterator[pl.DataFrame]:
        """The offline rows of all users, some users at a time, all folded at one log position.

        Args:
            cuts: see `cuts`.
            users: how many users a chunk; memory grows with it and not with the log.

        Returns:
            What `cuts` returns, for one user after the other in order of their ids; one without rows where there is
            nobody.
        """
        position = self.log.position()
        last: str | None = None
        while user_ids := self._next_users(last, users):
            yield self.cuts(cuts, user_ids, position)
            last = user_ids[-1]
        if last is None:
            yield self.cuts(cuts, [], position)

    def cuts(
        self, cuts: Sequence[int], user_ids: Sequence[str] | None = None, position: int | None = None
    ) -> pl.DataFrame:
        """The offline rows of users: one before any event, and one at each cut that leaves events.

        Args:
            cuts: 0 for all events, k for those before the user's k-th last interaction.
            user_ids: whose; None: everybody's.
            position: the log position that they are folded at; None: where the log stands now.

        Returns:
            Columns of `row_schema`, `effective_at` (when the row begins to hold) and `valid_until` (until when).
        """
        position = self.log.position() if position is None else position
        wanted = None if user_ids is None else pl.DataFrame({columns.USER_ID: user_ids}, {columns.USER_ID: pl.String()})
        events = self.log.read(user_ids, upto=position)
        users = self._known(events, wanted)
        first = events.group_by(columns.USER_ID).agg(pl.col(columns.OCCURRED_AT).min().alias(columns.VALID_UNTIL))
        nothing = self._rows(users, pl.DataFrame(schema=FOLD_SCHEMA), position)
        frames = [_valid_until(nothing, first)]
        positives = interactions(events, self.schema)
        for cut in cuts:
            limit = positions_back(positives, cut) if cut else None
            folded = self._fold(events, limit).filter(pl.col(columns.LOG_SEQUENCE) > 0)
            rows = self._rows(folded.select(columns.USER_ID), folded, position)
            until = None if limit is None else limit.rename({columns.EFFECTIVE_AT: columns.VALID_UNTIL})
            frames.append(_valid_until(rows, until))
        return pl.concat(frames).sort(columns.USER_ID, columns.EFFECTIVE_AT)

    def _next_users(self, after: str | None, number: int) -> list[str]:
        """The next user ids, sorted, that the log or the catalogue knows."""
        candidates = {*self.log.next_users(after, number), *next_user_ids(self.users_file, after, number)}
        return sorted(candidates)[:number]

    def _known(self, events: pl.DataFrame, wanted: pl.DataFrame | None) -> pl.DataFrame:
        """user_id, sorted: those of the log's slice, and those (of the wanted ones) that the catalogue knows."""
        listed = self._users(wanted).select(columns.USER_ID)
        return pl.concat([events.select(columns.USER_ID), listed]).unique().sort(columns.USER_ID)

    def _users(self, user_ids: pl.DataFrame | None) -> pl.DataFrame:
        """user_id and the profile under its feature names."""
        return read_profiles(self.users_file, self.schema, user_ids)

    def _fold(self, events: pl.DataFrame, before: pl.DataFrame | None = None) -> pl.DataFrame:
        return fold(events, self.schema, self.items.current(), before=before)

    def _rows(
        self, users: pl.DataFrame, folded: pl.DataFrame, position: int, moments: pl.DataFrame | None = None
    ) -> pl.DataFrame:
        """The fold's rows for exactly these users: empty ones where it has none, profiles joined in."""
        joined = users.select(columns.USER_ID).join(folded, on=columns.USER_ID, how="left", maintain_order="left")
        joined = joined.join(self._users(users), on=columns.USER_ID, how="left", maintain_order="left")
        filled = joined.with_columns(
            *(_empty(name, dtype) for name, dtype in FOLD_SCHEMA.items() if name != columns.USER_ID),
            pl.lit(position, dtype=pl.Int64).alias(columns.LOG_POSITION),
            pl.lit(position, dtype=pl.Int64).alias(columns.SEEN_LOG_POSITION),
            pl.lit(value=True).alias(columns.PRESENT),
        )
        if moments is not None:
            filled = filled.drop(columns.EFFECTIVE_AT).join(
                moments, on=columns.USER_ID, how="left", maintain_order="left"
            )
        return filled.select(*row_schema(self.schema).names(), columns.EFFECTIVE_AT)


def _empty(name: str, dtype: pl.DataType) -> pl.Expr:
    if name == columns.EFFECTIVE_AT:
        return pl.col(name).fill_null(BEGINNING)
    return pl.col(name).fill_null(pl.lit([], dtype=dtype) if isinstance(dtype, pl.List) else 0)


def _valid_until(rows: pl.DataFrame, until: pl.DataFrame | None) -> pl.DataFrame:
    if until is None:
        return rows.with_columns(pl.lit(FOREVER, dtype=pl.Int64).alias(columns.VALID_UNTIL))
    limits = until.select(columns.USER_ID, columns.VALID_UNTIL)
    joined = rows.join(limits, on=columns.USER_ID, how="left", maintain_order="left")
    return joined.with_columns(pl.col(columns.VALID_UNTIL).fill_null(FOREVER))
