"""The fencing token of whoever writes online rows now: a store refuses one smaller than the largest it has seen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from recsys.errors import LeaseError

FENCE: ContextVar[int | None] = ContextVar("fence", default=None)
"""The writer's token; None: nobody said who writes."""


class FencedOffError(LeaseError):
    """Somebody with a newer lease writes this store now; what was left to write is not written."""


@contextmanager
def writer_token(token: int | None) -> Iterator[None]:
    """Everything written to an online store inside carries this token.

    Args:
        token: from the lease, at least 1 and greater than those of all earlier holders.
    """
    reset = FENCE.set(token)
    try:
        yield
    finally:
        FENCE.reset(reset)


def writer() -> int:
    """The token of whoever writes now (`writer_token`).

    Raises:
        FencedOffError: nobody said who writes.
    """
    token = FENCE.get()
    if token is None:
        raise FencedOffError("Only the holder of the workspace's lease may write online rows: see recsys.events.lease.")
    return token


def fenced_off(token: int, largest: int) -> FencedOffError:
    """The refusal of a write, on every engine.

    Each engine compares the two inside its own transaction or script: the refusal is all that they can share.

    Args:
        token: of the writer.
        largest: the largest token that the store has seen.
    """
    return FencedOffError(
        f"The online store belongs to a later holder of the lease ({largest}) than this one ({token}): what was left "
        "to write is not written. If the event log was replaced or restored, rebuild: recsys features materialise "
        "--rebuild"
    )
