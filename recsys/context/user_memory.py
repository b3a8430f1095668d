"""Keeps something of the users asked for last, within a number of bytes, and lets it go with the user."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection
from typing import Generic, Literal, TypeVar

Outcome = Literal["hit", "miss", "evicted", "forgotten"]
Content = TypeVar("Content")

STILL_UNDER_WAY = 120.0
"""Seconds after which no request is left that read something before."""


class UserMemory(Generic[Content]):
    """What was kept last of each user, for many threads.

    Args:
        most_bytes: 0 keeps nothing.
        tell: told of what went, with the bytes that are held then.
        clock: seconds.
    """

    def __init__(
        self,
        most_bytes: int,
        tell: Callable[[Outcome, int], None] = lambda outcome, held: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.tell = tell
        self._most = most_bytes
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, str], tuple[Content, int]] = OrderedDict()
        self._held = 0
        self._forgotten: dict[int, float] = {}
        self._nobody_until = -math.inf

    @property
    def held_bytes(self) -> int:
        return self._held

    def __len__(self) -> int:
        return len(self._kept)

    def look(self, owner: str, user_id: str) -> Content | None:
        """What an owner keeps of a user."""
        with self._lock:
            found = self._kept.get((owner, user_id))
            if found is None:
                return None
            self._kept.move_to_end((owner, user_id))
            return found[0]

    def put(self, owner: str, user_id: str, content: Content, size: int) -> None:
        """Keeps it in the place of what the owner kept of the user, unless the user was just forgotten.

        Args:
            owner: what is kept for different owners stands side by side.
            user_id: whose it is.
            content: what is kept.
            size: its bytes, about; nothing is kept that alone is too large.
        """
        with self._lock:
            self._take_out((owner, user_id))
            if size > self._most or self._is_forgotten(user_id):
                return
            self._kept[owner, user_id] = (content, size)
            self._held += size
            evicted = 0
            while self._held > self._most:
                self._take_out(next(iter(self._kept)))
                evicted += 1
        for _ in range(evicted):
            self.tell("evicted", self.held_bytes)

    def drop(self, owner: str, user_id: str) -> None:
        """Keeps nothing of the user for this owner."""
        with self._lock:
            self._take_out((owner, user_id))

    def user_ids(self) -> Collection[str]:
        """Of whom something is kept."""
        with self._lock:
            return {user_id for _, user_id in self._kept}

    def forget(self, user_ids: Collection[str]) -> None:
        """Leaves nothing of these users, also of requests that are still under way.

        Of a user who comes back nothing is kept for two minutes.
        """
        now, wanted = self._clock(), set(user_ids)
        with self._lock:
            earlier = {own: until for own, until in self._forgotten.items() if until > now}
            self._forgotten = dict.fromkeys(map(hash, wanted), now + STILL_UNDER_WAY) | earlier
            theirs = [key for key in self._kept if key[1] in wanted]
            for key in theirs:
                self._take_out(key)
        for _ in theirs:
            self.tell("forgotten", self.held_bytes)

    def clear(self) -> None:
        """Leaves nothing of anybody, also of requests that are still under way: for two minutes nothing is kept."""
        now = self._clock()
        with self._lock:
            self._nobody_until = now + STILL_UNDER_WAY
            gone = len(self._kept)
            self._kept.clear()
            self._held = 0
        for _ in range(gone):
            self.tell("forgotten", self.held_bytes)

    def _is_forgotten(self, user_id: str) -> bool:
        now = self._clock()
        return now < self._nobody_until or self._forgotten.get(hash(user_id), now) > now

    def _take_out(self, key: tuple[str, str]) -> None:
        taken = self._kept.pop(key, None)
        if taken is not None:
            self._held -= taken[1]
