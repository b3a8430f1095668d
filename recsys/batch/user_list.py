"""Very many user ids, each once, in the order in which they came: on disk, so that memory does not grow with them."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator
from typing import Self

_BLOCK = 10_000


class UserList:
    """Ids in a temporary file of sqlite's, which has no name and goes with this object or the process."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute("CREATE TABLE users (place INTEGER PRIMARY KEY, user_id TEXT NOT NULL UNIQUE)")

    @classmethod
    def of(cls, blocks: Iterable[Iterable[str]]) -> Self:
        """The ids of all blocks; only one block is held at a time."""
        users = cls()
        for block in blocks:
            users.add(block)
        return users

    def add(self, user_ids: Iterable[str]) -> None:
        """Appends those that are not there yet."""
        rows = ((user_id,) for user_id in user_ids)
        self._database.execute("BEGIN")
        self._database.executemany("INSERT OR IGNORE INTO users (user_id) VALUES (?)", rows)
        self._database.execute("COMMIT")

    def __len__(self) -> int:
        return int(self._database.execute("SELECT count(*) FROM users").fetchone()[0])

    def blocks(self, size: int = _BLOCK) -> Iterator[tuple[str, ...]]:
        """The ids in order, `size` at a time; the last block may have fewer."""
        query = "SELECT place, user_id FROM users WHERE place > ? ORDER BY place LIMIT ?"
        last = 0
        while rows := self._database.execute(query, [last, size]).fetchall():
            last = rows[-1][0]
            yield tuple(user_id for _, user_id in rows)

    @property
    def digest(self) -> str:
        """Eight hex digits that tell one list from another."""
        digest = hashlib.sha256()
        for block in self.blocks():
            digest.update("".join(f"{user_id}\n" for user_id in block).encode())
        return digest.hexdigest()[:8]
