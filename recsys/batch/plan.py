"""What one batch run will make: which users in which partition, by which model, as of when. Pure data, no I/O.

Equal plans make equal files, so a partition whose file carries the plan's key need not be made again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

PARTITION_USERS = 2_048


@dataclass(frozen=True, slots=True)
class Partition:
    """One file of the result.

    Attributes:
        number: from 0, in the order of the users.
        user_ids: whose recommendations it holds.
        key: says what its content depends on; kept inside the file.
    """

    number: int
    user_ids: tuple[str, ...]
    key: str

    @property
    def file(self) -> str:
        return f"part-{self.number:05d}.parquet"


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchPlan:
    """One batch run.

    Attributes:
        workspace: the workspace's name.
        home: the folder that holds all workspaces.
        snapshot: the model's folder.
        snapshot_hash: what it must hash to.
        content_hash: what the model-defining files in it hash to.
        model_version: its version in the registry.
        as_of: effective moment, int64 microseconds; a context holds the user's events strictly before it.
        events_before: how many events of the log lie before that moment: an event that arrives late makes another plan.
        latest: the latest moment at which an event can have happened; None where events have no clock.
        events_ahead: how many of those events lie after it: once they have happened, it is another plan.
        log_position: where the log stood when the plan was made; users deleted later are left out of what is written.
        k: items a user.
        unavailable: items that must not be recommended, sorted.
        out: folder of the result.
    """

    workspace: str
    home: Path
    snapshot: Path
    snapshot_hash: str
    content_hash: str
    model_version: str
    as_of: int
    events_before: int
    latest: int | None = None
    events_ahead: int = 0
    log_position: int
    k: int
    unavailable: tuple[str, ...] = ()
    out: Path

    def partitions(self, user_ids: Sequence[str], size: int = PARTITION_USERS) -> list[Partition]:
        """The users in blocks of `size`, in the order given."""
        blocks = [tuple(user_ids[start : start + size]) for start in range(0, len(user_ids), size)]
        return [Partition(number, block, self._key(block)) for number, block in enumerate(blocks)]

    def _key(self, user_ids: tuple[str, ...]) -> str:
        """SHA-256 over all that decides a partition's content; where things lie is no part of it."""
        events = (self.as_of, self.events_before, self.events_ahead)
        decisive = [self.content_hash, self.model_version, *events, self.k, user_ids]
        decisive += [self.unavailable] if self.unavailable else []
        return hashlib.sha256(orjson.dumps(decisive)).hexdigest()
