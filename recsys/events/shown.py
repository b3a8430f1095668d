"""The tables of the file that keeps what was shown, and how far a challenger in the shadow agreed with it.

A file of its own: writing it never makes an event wait, and losing it loses no truth.
"""

from __future__ import annotations

import sqlite3

from recsys.events.database import Content

_LAYOUT = 1
_TABLES = (
    """
    CREATE TABLE IF NOT EXISTS impressions (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        request_id TEXT NOT NULL,
        shown_at INTEGER NOT NULL,
        user_id TEXT,
        model_version TEXT NOT NULL,
        arm TEXT,
        champion_version TEXT,
        challenger_version TEXT,
        propensity REAL,
        item_ids TEXT NOT NULL,
        surface TEXT,
        degraded TEXT
    ) STRICT
    """,
    "CREATE INDEX IF NOT EXISTS impressions_by_user ON impressions (user_id, shown_at)",
    """
    CREATE TABLE IF NOT EXISTS shadow_scores (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        scored_at INTEGER NOT NULL,
        champion_version TEXT NOT NULL,
        challenger_version TEXT NOT NULL,
        k INTEGER NOT NULL,
        overlap REAL,
        correlation REAL,
        same_first INTEGER,
        champion_ms REAL NOT NULL,
        challenger_ms REAL
    ) STRICT
    """,
    "CREATE TABLE IF NOT EXISTS scrubbing (one INTEGER PRIMARY KEY CHECK (one = 1)) STRICT",
)


def _make_tables(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        for table in _TABLES:
            connection.execute(table)
        connection.execute(f"PRAGMA user_version = {_LAYOUT}")
    except BaseException:
        connection.rollback()
        raise
    connection.commit()


SHOWN = Content("record of what was shown", _LAYOUT, _make_tables)
