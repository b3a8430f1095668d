"""The retention job: takes events and impressions older than so many days out for good, and what was made of them."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass

from recsys.context.layout import configuration_file
from recsys.data.schema import WorkspaceSchema
from recsys.errors import ConfigError
from recsys.events.impressions import ImpressionLog
from recsys.events.lease import FoldLease, maintenance
from recsys.events.log import EventLog
from recsys.events.removals import Removals
from recsys.events.shadow_scores import ShadowLog
from recsys.failpoints import Failpoint, reached
from recsys.jobs.delete_users import clean
from recsys.jobs.materialise import materialise
from recsys.workspace import Workspace

_DAY = 86_400_000_000


@dataclass(frozen=True, slots=True)
class PruneResult:
    """What a pruning did.

    Attributes:
        workspace: name of the workspace.
        removed: events that went.
        kept: events that are left.
        impressions: records of what was shown that went.
        position: the log's position afterwards.
        seconds: how long it took.
    """

    workspace: str
    removed: int
    kept: int
    impressions: int
    position: int
    seconds: float

    def as_dict(self) -> dict[str, object]:
        """Plain values, for --json."""
        return asdict(self)


def prune(workspace: Workspace, older_than_days: float, *, keep_last: int = 0, now: int | None = None) -> PruneResult:
    """Removes old events, down to the bytes, then makes the feature rows anew. Reads are exact at every moment.

    Args:
        workspace: an existing workspace; where its events have no clock only impressions go.
        older_than_days: events that happened longer ago go, and impressions that were shown longer ago.
        keep_last: newest events of each user that stay whatever their age.
        now: microseconds since the epoch; None: the machine's clock.

    Raises:
        ConfigError: a number is negative, or the workspace has neither a clock nor impressions.
        LeaseError: another job is changing the workspace all the time.
    """
    started = time.monotonic()
    if not older_than_days >= 0 or keep_last < 0:
        raise ConfigError(f"{older_than_days} days and {keep_last} events a user: neither may be negative.")
    shown, clock = ImpressionLog.of(workspace), WorkspaceSchema.load(workspace.schema_file).clock
    if not clock and not shown.path.is_file():
        raise ConfigError(f"The workspace '{workspace.name}' has an order but no clock: no event has an age there.")
    now = time.time_ns() // 1000 if now is None else now
    before = now - int(min(older_than_days, 10**6) * _DAY)
    removals, log = Removals(workspace.event_log), EventLog(workspace.event_log)
    lease = FoldLease(workspace.event_log)
    with maintenance(lease, "prune the event log") as token:
        removed = removals.prune(before, keep_last) if clock else 0
        if removed:
            reached(Failpoint.PRUNE_EVENTS_GONE)
            clean(workspace, lease, token)
        impressions = shown.remove_before(before)
        ShadowLog(workspace.impressions).remove_before(before)
        reached(Failpoint.PRUNE_IMPRESSIONS_GONE)
        shown.scrub()
    if removed and configuration_file(workspace).is_file():
        materialise(workspace)
    return PruneResult(
        workspace.name,
        removed,
        log.count(),
        impressions,
        log.position(),
        seconds=round(time.monotonic() - started, 3),
    )
