"""Brings online rows up to the event log, a bounded step at a time, whoever appended the events.

What is done is kept in the online store, so whoever holds the lease next goes on from there. Importing Feast takes
seconds: import this module late.
"""

from __future__ import annotations

from recsys.context.folding import RowFolder
from recsys.context.online_upkeep import OnlineUpkeep
from recsys.context.user_store import UserStore
from recsys.failpoints import Failpoint, reached

EVENTS_A_STEP = 2_000


class CatchUp:
    """Folds the users of events that are not in the online rows yet.

    Args:
        users: where the rows go.
        folder: what makes them.
    """

    def __init__(self, users: UserStore, folder: RowFolder) -> None:
        self._users = users
        self._rows = OnlineUpkeep(users.features)
        self._folder = folder

    def behind(self) -> int:
        """How many places of the log are not in the online rows yet. Raises: FeatureStoreError."""
        return max(0, self._folder.log.position() - self._rows.folded_up_to())

    def step(self, token: int) -> bool:
        """Folds the users of the next events.

        Args:
            token: of the lease that is held; its holder alone may call this.

        Returns:
            Whether there is more to do.

        Raises:
            LeaseError: the lease is lost.
            FeatureStoreError: the store cannot be written.
        """
        done, end = self._rows.folded_up_to(), self._folder.log.position()
        if done >= end:
            return False
        user_ids, upto = self._folder.log.users_after(done, EVENTS_A_STEP)
        if user_ids:
            self._users.push(self._folder.now(user_ids), token)
        reached(Failpoint.FOLD_ROWS_WRITTEN)
        self._rows.note_folded(upto, token)
        reached(Failpoint.FOLD_NOTED)
        return upto < end
