"""Keeps what was generated for a user until the user's row is another one: encoded context, body's state, head.

Of fewer users, what the experts say as well: it is large. A user's scores are never kept. What is kept holds for the
content of all that it was made from, so nothing has to say when it is outdated: after an event, a changed profile or a
promotion it is not found. It knows neither stores nor requests.
"""

from __future__ import annotations

import hashlib
import time
from array import array
from collections.abc import Callable, Collection
from dataclasses import dataclass

from torch import Tensor

from recsys.context.batch import ContextBatch, FeatureRow
from recsys.context.user_memory import UserMemory
from recsys.model.personal import Generated

_A_TENSOR = 400  # bytes of a small tensor beside its numbers
_AN_ENTRY = 600


@dataclass(frozen=True, slots=True)
class Kept:
    """What one row of one model's was made into.

    Attributes:
        content: what `content_of` gives for the row.
        context: a batch of one.
        generated: state and head.
    """

    content: bytes
    context: ContextBatch
    generated: Generated

    @property
    def size(self) -> int:
        """Bytes in memory, about."""
        tensors = [*self.context.tensors(), *self.generated.tensors()]
        return _AN_ENTRY + sum(tensor.nbytes + _A_TENSOR for tensor in tensors)


class KeptHeads(UserMemory[Kept]):
    """The users asked for last, up to a number of bytes; for all models of a process and for many threads.

    Args:
        most_bytes: of states, heads and contexts; 0 keeps nothing.
        experts_bytes: of what the experts say, beside that.
    """

    def __init__(self, most_bytes: int, experts_bytes: int = 0, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(most_bytes, clock=clock)
        self._experts: UserMemory[tuple[bytes, Tensor]] = UserMemory(experts_bytes, clock=clock)

    @property
    def held_bytes(self) -> int:
        return super().held_bytes + self._experts.held_bytes

    def find_experts(self, model: str, user_id: str, content: bytes) -> Tensor | None:
        """What that model's experts said of that row, if it is kept."""
        made_of, found = self._experts.look(model, user_id) or (None, None)
        return found if made_of == content else None

    def keep_experts(self, model: str, user_id: str, content: bytes, said: Tensor) -> None:
        """Keeps what the experts said, in the place of what they said before."""
        self._experts.put(model, user_id, (content, said), _AN_ENTRY + said.nbytes)

    def user_ids(self) -> Collection[str]:
        """Of whom something is kept."""
        return {*super().user_ids(), *self._experts.user_ids()}

    def forget(self, user_ids: Collection[str]) -> None:
        """Leaves nothing of these users, see `UserMemory.forget`."""
        self._experts.forget(user_ids)
        super().forget(user_ids)

    def clear(self) -> None:
        """Leaves nothing of anybody, see `UserMemory.clear`."""
        self._experts.clear()
        super().clear()

    def find(self, model: str, user_id: str, content: bytes) -> Kept | None:
        """What is kept of that row for that model."""
        found = self.look(model, user_id)
        if found is not None and found.content != content:
            found = None
        self.tell("miss" if found is None else "hit", self.held_bytes)
        return found

    def keep(self, model: str, user_id: str, kept: Kept) -> None:
        """Keeps it, in the place of what was kept of the user for that model, unless the user was just forgotten."""
        self.put(model, user_id, kept, kept.size)


def content_of(row: FeatureRow, moment: int | None) -> bytes:
    """A row's stamp, or a digest of all of it that the encoder reads: equal ones, equal contexts.

    Args:
        row: a feature row.
        moment: when the recommendation is asked for, where the model is told.
    """
    if row.stamp is not None:
        return b"%d %d" % (row.stamp, -1 if moment is None else moment)
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
