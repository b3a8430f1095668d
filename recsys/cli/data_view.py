"""How the `data` and `events` commands show schemas, treatments, counts and events to people."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import polars as pl
from rich.console import Group, RenderableType
from rich.table import Table

from recsys.columns import EVENT, ITEM_ID, LOG_SEQUENCE, OCCURRED_AT, USER_ID, VALUE
from recsys.data.imported import Treatment
from recsys.data.schema import EventMeaning, WorkspaceSchema
from recsys.jobs.summary import Summary


def schema_view(schema: WorkspaceSchema) -> RenderableType:
    """What the data mean: columns with their types, order or clock, repeats, what events count."""
    table = Table(title=f"Workspace {schema.name}", title_justify="left", show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    table.add_row("time", "real times" if schema.clock else "an order only, no clock")
    table.add_row("items", "repeat" if schema.repeats else "do not repeat")
    if schema.baskets:
        table.add_row("baskets", "events of one user with the same time are one basket")
    table.add_row("events", _meaning(schema.events))
    table.add_row("users", _columns(schema.user_columns))
    table.add_row("items' columns", _columns(schema.item_columns))
    table.add_row("shown as", schema.title or "item_id")
    return table


def treatments_view(treatments: Sequence[Treatment], notes: Sequence[str]) -> RenderableType:
    """What was done with rows that were not plain, and what was inferred."""
    shown: list[RenderableType] = [note for note in notes]
    if not treatments:
        shown.append("Every row was plain: none dropped, none changed.")
        return Group(*shown)
    table = Table(title="Rows that were not plain", title_justify="left")
    table.add_column("file")
    table.add_column("what")
    table.add_column("rows", justify="right")
    table.add_column("treatment")
    for treatment in treatments:
        table.add_row(treatment.file, treatment.what, f"{treatment.rows:,}", treatment.done)
    return Group(*shown, table)


def summary_view(summary: Summary) -> RenderableType:
    """How much a workspace holds."""
    table = Table(show_header=False)
    table.add_column(style="bold")
    table.add_column()
    table.add_row("events", f"{summary.events:,} (log position {summary.position:,})")
    table.add_row("interactions", f"{summary.interactions:,} positive events")
    table.add_row("users", f"{summary.users:,}, of them {summary.users_with_events:,} with interactions")
    table.add_row("items", f"{summary.items:,}, of them {summary.items_with_events:,} with interactions")
    table.add_row("per user", f"{summary.least} to {summary.most:,} interactions, median {summary.median:g}")
    if summary.schema.clock and summary.first_at is not None and summary.last_at is not None:
        table.add_row("from", f"{moment(summary.first_at)} to {moment(summary.last_at)}")
    return table


def events_view(events: pl.DataFrame, titles: Sequence[str], clock: bool) -> RenderableType:
    """Events of the log, one row each."""
    table = Table()
    for name in ("sequence", "user", "item", "title", "when", "event", "value"):
        table.add_column(name, overflow="fold")
    for row, title in zip(events.iter_rows(named=True), titles, strict=True):
        table.add_row(
            str(row[LOG_SEQUENCE]),
            row[USER_ID],
            row[ITEM_ID],
            title,
            moment(row[OCCURRED_AT]) if clock else "-",
            row[EVENT] or "-",
            "-" if row[VALUE] is None else f"{row[VALUE]:g}",
        )
    return table


def moment(microseconds: int) -> str:
    """A time for people, UTC."""
    return datetime.fromtimestamp(microseconds / 1e6, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _columns(types: object) -> str:
    return ", ".join(f"{name} ({kind})" for name, kind in dict(types).items()) or "none"  # type: ignore[call-overload]


def _meaning(meaning: EventMeaning) -> str:
    parts = ["positive: every kind" if meaning.positive is None else f"positive: {', '.join(meaning.positive)}"]
    if meaning.negative:
        parts.append(f"negative: {', '.join(meaning.negative)}")
    if meaning.min_value is not None:
        parts.append(f"negative below a value of {meaning.min_value:g}")
    if meaning.weights:
        parts.append("weights: " + ", ".join(f"{kind} {weight:g}" for kind, weight in meaning.weights.items()))
    return "; ".join(parts)
