"""Whom a log has deleted and when, known by a salted SHA-256 alone: what keeps an old file from bringing them back.

It knows one connection to the log; `removals` writes what is read here.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Sequence

import orjson
import polars as pl

from recsys.columns import OCCURRED_AT, USER_ID


def without_deleted(connection: sqlite3.Connection, events: pl.DataFrame) -> pl.DataFrame:
    """The events but those that happened before their user was deleted: an old file brings nobody back."""
    deleted = deleted_at(connection, events[USER_ID].unique().to_list())
    return events.filter(~happened_before(deleted)) if deleted else events


def happened_before(deleted: dict[str, int]) -> pl.Expr:
    """Whether an event happened before its user was deleted, as a column of a frame of events."""
    moments = pl.col(USER_ID).replace_strict(list(deleted), list(deleted.values()), default=None, return_dtype=pl.Int64)
    return (pl.col(OCCURRED_AT) <= moments).fill_null(value=False)


def deleted_at(connection: sqlite3.Connection, user_ids: Sequence[str]) -> dict[str, int]:
    """When each of these users was deleted, microseconds; users who never were are left out."""
    if not connection.execute("SELECT EXISTS (SELECT 1 FROM removals WHERE digest NOT NULL)").fetchone()[0]:
        return {}
    salt = salt_of(connection)
    by_digest = {digest_of(salt, user_id): user_id for user_id in user_ids}
    rows = connection.execute(
        "SELECT digest, removed_at FROM removals WHERE digest IN (SELECT value FROM json_each(?))",
        [orjson.dumps(list(by_digest)).decode()],
    )
    return {by_digest[digest]: removed_at for digest, removed_at in rows.fetchall()}


def deleted_after(connection: sqlite3.Connection, user_ids: Sequence[str], position: int) -> list[str]:
    """Those of these users who were deleted after a position of the log, also when they have come back since."""
    salt = salt_of(connection)
    by_digest = {digest_of(salt, user_id): user_id for user_id in user_ids}
    rows = connection.execute("SELECT digest FROM removals WHERE log_sequence > ? AND digest NOT NULL", [position])
    return [by_digest[digest] for (digest,) in rows if digest in by_digest]


def tombstones(connection: sqlite3.Connection) -> dict[str, int]:
    """When each deleted user was deleted, by digest."""
    return dict(connection.execute("SELECT digest, removed_at FROM removals WHERE digest NOT NULL").fetchall())


def salt_of(connection: sqlite3.Connection) -> bytes:
    """The log's own random salt; logs of one origin share it."""
    return bytes(connection.execute("SELECT value FROM salt").fetchone()[0])


def digest_of(salt: bytes, user_id: str) -> str:
    """The salted SHA-256 of an id, hexadecimal."""
    return hashlib.sha256(salt + user_id.encode()).hexdigest()
