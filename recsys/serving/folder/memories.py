"""What one process keeps in memory of users between their requests: their rows, and what was generated for them."""

from __future__ import annotations

from collections.abc import Collection

from recsys.context.kept_rows import KeptRow
from recsys.context.user_memory import UserMemory
from recsys.ranking.kept_heads import KeptHeads

HEADS_BYTES = 24 * 1024 * 1024
"""Some 2,000 users with 100 events each."""
ROWS_BYTES = 40 * 1024 * 1024
"""As many: what was generated is found by the row that was kept."""
EXPERTS_BYTES = 32 * 1024 * 1024
"""Some 400 users in a catalogue of 3,400 items and with seven experts."""


class Memories:
    """Forgets in all places at once."""

    def __init__(self) -> None:
        self.heads = KeptHeads(HEADS_BYTES, EXPERTS_BYTES)
        self.rows: UserMemory[KeptRow] = UserMemory(ROWS_BYTES)

    def user_ids(self) -> Collection[str]:
        """Of whom something is kept."""
        return {*self.heads.user_ids(), *self.rows.user_ids()}

    def forget(self, user_ids: Collection[str]) -> None:
        """Leaves nothing of these users, see `UserMemory.forget`."""
        self.heads.forget(user_ids)
        self.rows.forget(user_ids)

    def clear(self) -> None:
        """Leaves nothing of anybody."""
        self.heads.clear()
        self.rows.clear()
