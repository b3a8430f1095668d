"""For whom and as of when: the users of a workspace, or those of a file; the moment after the last event."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from recsys import columns
from recsys.context.moments import CLOCK_SKEW
from recsys.data.catalogue import Catalogue
from recsys.data.schema import WorkspaceSchema
from recsys.errors import DataError
from recsys.events.log import EventLog
from recsys.events.ordering import ordered
from recsys.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Audience:
    """Whom a batch is for, and as of when.

    Attributes:
        user_ids: each once; sorted, or in the file's order.
        as_of: effective moment, int64 microseconds.
        events_before: how many events of the log lie before it.
        latest: the latest moment at which an event can have happened; None where events have no clock.
        events_ahead: how many of those events lie after it.
        log_position: where the log stood before it was read: whoever is deleted later is known by that.
    """

    user_ids: tuple[str, ...]
    as_of: int
    events_before: int
    latest: int | None
    events_ahead: int
    log_position: int

    @property
    def digest(self) -> str:
        """Eight hex digits that tell one set of users from another."""
        return hashlib.sha256("\n".join(self.user_ids).encode()).hexdigest()[:8]


def audience(
    workspace: Workspace,
    schema: WorkspaceSchema,
    *,
    users_file: Path | None = None,
    as_of: int | None = None,
    now: int | None = None,
) -> Audience:
    """Reads the log once.

    Args:
        workspace: the workspace.
        schema: its schema.
        users_file: only these users (see `read_users`); None: everybody that the log or the catalogue knows.
        as_of: effective moment; None: just after the last event.
        now: microseconds since the epoch; None: the clock.

    Raises:
        DataError: the file cannot be used, or the workspace has no event and no moment was given.
    """
    log = EventLog(workspace.event_log)
    position = log.position()
    latest = (time.time_ns() // 1_000 if now is None else now) + CLOCK_SKEW if schema.clock else None
    events = ordered(log.read(), schema).select(columns.USER_ID, columns.EFFECTIVE_AT, columns.OCCURRED_AT)
    last = events[columns.EFFECTIVE_AT].max()
    if last is None and as_of is None:
        raise DataError(
            f"The event log of workspace '{workspace.name}' is empty, so there is no moment to recommend as of. "
            f"Bring events: recsys data import DIR --workspace {workspace.name}"
        )
    moment = as_of if as_of is not None else int(last) + 1  # type: ignore[arg-type]
    before = events.filter(pl.col(columns.EFFECTIVE_AT) < moment)
    ahead = 0 if latest is None else before.filter(pl.col(columns.OCCURRED_AT) > latest).height
    user_ids = read_users(users_file) if users_file is not None else _everybody(events, Catalogue.load(workspace))
    return Audience(
        user_ids=user_ids,
        as_of=moment,
        events_before=before.height,
        latest=latest,
        events_ahead=ahead,
        log_position=position,
    )


def read_users(path: Path) -> tuple[str, ...]:
    """User ids out of a file: .parquet or .csv with a column user_id, anything else one id a line.

    Returns:
        Each id once, in the file's order.

    Raises:
        DataError: it is missing, has no such column, holds nulls, or nobody at all.
    """
    try:
        ids = _column(path)
    except (OSError, pl.exceptions.PolarsError, UnicodeDecodeError) as error:
        raise DataError(f"The users file {path} cannot be read: {error}") from error
    if ids.null_count() or (ids == "").any():
        raise DataError(f"The users file {path} holds empty user ids; leave these rows out.")
    if ids.is_empty():
        raise DataError(f"The users file {path} names nobody. Give one user id a line, or a column user_id.")
    return tuple(ids.unique(maintain_order=True).to_list())


def _column(path: Path) -> pl.Series:
    if path.suffix not in (".parquet", ".csv"):
        lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
        return pl.Series(columns.USER_ID, [line for line in lines if line], dtype=pl.String)
    frame = pl.read_parquet(path) if path.suffix == ".parquet" else pl.read_csv(path, infer_schema=False)
    if columns.USER_ID not in frame.columns:
        raise DataError(f"The users file {path} has no column user_id (it has: {', '.join(frame.columns)}).")
    return frame[columns.USER_ID].cast(pl.String)


def _everybody(events: pl.DataFrame, catalogue: Catalogue) -> tuple[str, ...]:
    known = pl.concat([events[columns.USER_ID], catalogue.users[columns.USER_ID]])
    return tuple(known.unique().sort().to_list())
