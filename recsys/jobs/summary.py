"""The job that counts what a workspace holds."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import polars as pl

from recsys.columns import ITEM_ID, OCCURRED_AT, USER_ID
from recsys.data.catalogue import Catalogue
from recsys.data.schema import WorkspaceSchema
from recsys.events.log import EventLog
from recsys.events.ordering import interactions
from recsys.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Summary:
    """Counts of one workspace.

    Attributes:
        schema: what the data mean.
        events: events in the log.
        position: the log's position.
        interactions: positive events; without repeats only the first of a user and item.
        users: users in the catalogue.
        users_with_events: users with interactions.
        items: items in the catalogue.
        items_with_events: items with interactions.
        least: fewest interactions of a user who has any.
        median: median interactions of a user who has any.
        most: most interactions of a user.
        first_at: first interaction, microseconds since the epoch, UTC; None when there is none.
        last_at: last interaction.
    """

    schema: WorkspaceSchema
    events: int
    position: int
    interactions: int
    users: int
    users_with_events: int
    items: int
    items_with_events: int
    least: int
    median: float
    most: int
    first_at: int | None
    last_at: int | None

    def as_dict(self) -> dict[str, object]:
        """Plain values, for --json."""
        return asdict(self)


def summarise(workspace: Workspace) -> Summary:
    """Counts what an existing workspace holds."""
    catalogue = Catalogue.load(workspace)
    log = EventLog(workspace.event_log).read()
    positive = interactions(log, catalogue.schema)
    per_user = (
        positive.group_by(USER_ID)
        .len()
        .select(
            pl.col("len").min().alias("least"),
            pl.col("len").median().alias("median"),
            pl.col("len").max().alias("most"),
        )
        .row(0)
    )
    times = positive.select(pl.col(OCCURRED_AT).min().alias("first"), pl.col(OCCURRED_AT).max().alias("last")).row(0)
    return Summary(
        schema=catalogue.schema,
        events=log.height,
        position=int(log["log_sequence"].max() or 0),  # type: ignore[arg-type]
        interactions=positive.height,
        users=catalogue.users.height,
        users_with_events=positive[USER_ID].n_unique(),
        items=catalogue.items.height,
        items_with_events=positive[ITEM_ID].n_unique(),
        least=per_user[0] or 0,
        median=per_user[1] or 0.0,
        most=per_user[2] or 0,
        first_at=times[0],
        last_at=times[1],
    )
