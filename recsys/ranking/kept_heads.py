"""Keeps what was generated for a user until the user's row is another one: encoded context, body's state, head.

Scores are never kept. What is kept holds for the content of all that it was made from, so nothing has to say when
it is outdated: after an event, a changed profile or a promotion it is not found. It knows neither stores nor requests.
"""

from __future__ import annotations

import hashlib
import threading
import time
from array import array
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Literal

from recsys.context.batch import ContextBatch, FeatureRow
from recsys.model.personal import Generated

Outcome = Literal["hit", "miss", "evicted", "forgotten"]

_A_TENSOR = 400  # bytes of a small tensor beside its numbers
_AN_ENTRY = 600
_STILL_UNDER_WAY = 120.0


@dataclass(frozen=True, slots=True)
class Kept:
    """What one row of one model's was made into.

    Attributes:
        context: a batch of one.
        generated: state and head.
    """

    context: ContextBatch
    generated: Generated

    @property
    def size(self) -> int:
        """Bytes in memory, about."""
        tensors = [*self.context.tensors(), *self.generated.tensors()]
        return _AN_ENTRY + sum(tensor.nbytes + _A_TENSOR for tensor in tensors)


class KeptHeads:
    """The users asked for last, up to a number of bytes; for all models of a process and for many threads.

    Args:
        most_bytes: 0 keeps nothing.
        tell: told of each outcome, with the bytes that are held then.
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
        self._kept: OrderedDict[tuple[str, str], tuple[bytes, Kept, int]] = OrderedDict()
        self._held = 0
        self._forgotten: dict[int, float] = {}

    @property
    def held_bytes(self) -> int:
        return self._held

    def __len__(self) -> int:
        return len(self._kept)

    def find(self, model: str, user_id: str, content: bytes) -> Kept | None:
        """What is kept of that row for that model."""
        with self._lock:
            made_of, found, _ = self._kept.get((model, user_id), (None, None, 0))
            if made_of == content:
                self._kept.move_to_end((model, user_id))
            else:
                found = None
        self.tell("miss" if found is None else "hit", self._held)
        return found

    def keep(self, model: str, user_id: str, content: bytes, kept: Kept) -> None:
        """Keeps it, in the place of what was kept of the user for that model, unless the user was just forgotten."""
        size = kept.size
        if size > self._most:
            return
        with self._lock:
            if self._is_forgotten(user_id):
                return
            self._take_out((model, user_id))
            self._kept[model, user_id] = (content, kept, size)
            self._held += size
            evicted = 0
            while self._held > self._most:
                self._take_out(next(iter(self._kept)))
                evicted += 1
        for _ in range(evicted):
            self.tell("evicted", self._held)

    def user_ids(self) -> Collection[str]:
        """Of whom something is kept."""
        with self._lock:
            return {user_id for _, user_id in self._kept}

    def forget(self, user_ids: Collection[str]) -> None:
        """Leaves nothing of these users, also of requests that still hold a row of theirs.

        Of a user who comes back nothing is kept for two minutes.
        """
        now, wanted = self._clock(), set(user_ids)
        with self._lock:
            self._forgotten = {own: until for own, until in self._forgotten.items() if until > now}
            self._forgotten |= dict.fromkeys(map(hash, wanted), now + _STILL_UNDER_WAY)
            theirs = [key for key in self._kept if key[1] in wanted]
            for key in theirs:
                self._take_out(key)
        for _ in theirs:
            self.tell("forgotten", self._held)

    def clear(self) -> None:
        """Leaves nothing of anybody."""
        self.forget(self.user_ids())

    def _is_forgotten(self, user_id: str) -> bool:
        return self._forgotten.get(hash(user_id), 0.0) > self._clock()

    def _take_out(self, key: tuple[str, str]) -> None:
        taken = self._kept.pop(key, None)
        if taken is not None:
            self._held -= taken[2]


def content_of(row: FeatureRow, moment: int | None) -> bytes:
    """A digest of all of a row that the encoder reads: equal digests, equal contexts.

    Args:
        row: a feature row.
        moment: when the recommendation is asked for, where the model is told.
    """
    digest = hashlib.blake2b(digest_size=16)
    lengths = (len(row.history_items), len(row.seen_items), len(row.seen_counts), len(row.seen_last))
    digest.update(repr((lengths, row.event_count, moment, sorted(row.profile.items()))).encode(errors="replace"))
    for items in (row.history_items, row.seen_items):
        digest.update("\0".join(items).encode(errors="surrogatepass"))
        digest.update(b"\0")
    for whole in (row.history_times, row.seen_counts, row.seen_last):
        digest.update(array("q", whole).tobytes())
    digest.update(array("d", row.history_values).tobytes())
    return digest.digest()
