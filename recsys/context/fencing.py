"""The fencing token of whoever writes online rows now: a store refuses one smaller than the largest it has seen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from recsys.errors import FeatureStoreError

FENCE: ContextVar[int | None] = ContextVar("fence", default=None)
"""The writer's token; None writes unfenced."""


class FencedOffError(FeatureStoreError):
    """Somebody with a newer lease writes this store now; what was left to write is not written."""


@contextmanager
def writer_token(token: int | None) -> Iterator[None]:
    """Everything written to an online store inside carries this token.

    Args:
        token: from the lease, at least 1 and greater than those of all earlier holders; None: no fencing.
    """
    reset = FENCE.set(token)
    try:
        yield
    finally:
        FENCE.reset(reset)
