"""What one batch run will make: which users in which partition, by which model, as of when. No files, no Ray.

Equal plans make equal files, so a partition whose file carries the plan's key need not be made again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

import orjson

from recsys.batch.formats import FORMATS, FormatName
from recsys.batch.rules import ANYTHING, Rules

PARTITION_USERS = 2_048
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Partition:
    """One file of the result.

    Attributes:
        number: from 0, in the order of the users.
        user_ids: whose recommendations it holds.
        key: says what its content depends on; kept with the file.
        suffix: of the file's name.
    """

    number: int
    user_ids: tuple[str, ...]
    key: str
    suffix: str = ".parquet"

    @property
    def file(self) -> str:
        return f"part-{self.number:05d}{self.suffix}"


class Users(Protocol):
    """Users in an order that stays: `UserList`."""

    def __len__(self) -> int: ...

    def blocks(self, size: int) -> Iterator[tuple[str, ...]]:
        """All of them, `size` at a time."""
        ...


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
        newest_event: the log sequence of the newest of them: as many others make another plan, too.
        catalogue_position: where profiles changed last: contexts hold them as they are now.
        latest: the latest moment at which an event can have happened; None where events have no clock.
        events_ahead: how many of those events lie after it: once they have happened, it is another plan.
        log_position: where the log stood when the plan was made; users deleted later are left out of what is written.
        k: items a user.
        rules: which items may be recommended.
        form: the format of the files.
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
    newest_event: int = 0
    catalogue_position: int = 0
    latest: int | None = None
    events_ahead: int = 0
    log_position: int
    k: int
    rules: Rules = ANYTHING
    form: FormatName = "parquet"
    out: Path

    def partitions(self, users: Users, size: int = PARTITION_USERS) -> Partitions:
        """The users in blocks of `size`, in their order."""
        return Partitions(self, users, size)

    @property
    def moment(self) -> str:
        """`as_of` as ISO 8601 text, UTC."""
        return (_EPOCH + timedelta(microseconds=self.as_of)).isoformat()

    @property
    def decisive(self) -> bytes:
        """All that decides what any user gets; where things lie is no part of it."""
        contexts = (self.as_of, self.events_before, self.newest_event, self.events_ahead, self.catalogue_position)
        return orjson.dumps([self.content_hash, self.model_version, *contexts, self.k, self.rules.digest, self.form])


@dataclass(frozen=True, slots=True)
class Partitions:
    """The partitions of a plan, made whenever they are gone through: only one is held at a time.

    Attributes:
        plan: of which plan.
        users: whose.
        size: users a partition.
    """

    plan: BatchPlan
    users: Users
    size: int

    def __iter__(self) -> Iterator[Partition]:
        decisive, suffix = self.plan.decisive, FORMATS[self.plan.form].suffix
        for number, block in enumerate(self.users.blocks(self.size)):
            key = hashlib.sha256(decisive + orjson.dumps(block)).hexdigest()
            yield Partition(number, block, key, suffix)

    def __len__(self) -> int:
        return (len(self.users) + self.size - 1) // self.size
