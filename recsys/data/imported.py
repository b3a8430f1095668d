"""What every source of data hands to the ingest job: canonical frames, the schema, and what was done on the way."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from recsys.data.schema import WorkspaceSchema


@dataclass(frozen=True, slots=True)
class Treatment:
    """One decision about rows that were not plain.

    Attributes:
        file: where, for example "events.csv".
        what: which rows, for example "rows without an item_id".
        rows: how many.
        done: what was done with them, for example "dropped".
    """

    file: str
    what: str
    rows: int
    done: str


@dataclass(frozen=True, slots=True)
class ImportedData:
    """A data set in canonical form.

    Attributes:
        source: where it came from, for people.
        events: columns of `canonical.EVENT_SCHEMA`, in order of time, no duplicates.
        users: one row a user of the users file, `schema.users_frame_schema()`; users known only by events are absent.
        items: one row an item of the items file, likewise.
        schema: what the data mean; its name is a proposal.
        treatments: what was done with rows that were not plain; empty when all were.
        notes: what was inferred, in sentences for people.
    """

    source: str
    events: pl.DataFrame
    users: pl.DataFrame
    items: pl.DataFrame
    schema: WorkspaceSchema
    treatments: tuple[Treatment, ...] = ()
    notes: tuple[str, ...] = ()
