"""Bring your own data: a folder with events (and users, items) to canonical frames, schema and a list of treatments.

Files: `events.parquet` or `events.csv` with user_id, item_id and timestamp or position, optionally rating (or value)
and event; optionally users and items files with the id and any columns.

What is done with rows that are not plain (each is counted in `ImportedData.treatments`):

| what | treatment |
| --- | --- |
| ids that are integers, or whole numbers written as 7.0 | become the text "7"; other text stays as it is ("007") |
| empty, blank or missing ids, in any file | row dropped |
| timestamps: numbers | seconds, milliseconds, microseconds or nanoseconds by the magnitude of their median |
| timestamps: datetimes, dates, ISO 8601 text | UTC unless a zone is written; a date is midnight |
| timestamps that are missing, unreadable, zero, negative, or more than a day ahead of now | row dropped |
| positions | seconds after 2000-01-01 in the log; the workspace has no clock; rows without one are dropped |
| ties in time | keep the position's order if there is one, then the file's |
| equal rows (user, item, time, event, value) | one kept |
| values that are missing, NaN or infinite | row kept without a value: it counts 1 and `min_value` does not judge it |
| blank kinds of events | the event has no kind |
| users with a single event, users with thousands | kept; the history is the last 200, the seen set is complete |
| items only in events, items only in the items file | in the catalogue; the former with empty columns |
| an id several times in users or items | the last row holds |
| NaN, infinities and blank text in users or items columns | missing |
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from recsys.columns import EVENT, ITEM_ID, TIMESTAMP, USER_ID
from recsys.data.canonical import EVENT_SCHEMA
from recsys.data.checks import event_problems, table_problems
from recsys.data.event_rows import REPEAT_SHARE, canonical_events, repeat_share
from recsys.data.files import find_table, read_table
from recsys.data.findings import Findings
from recsys.data.imported import ImportedData
from recsys.data.overrides import Overrides, read_overrides
from recsys.data.schema import ColumnType, EventMeaning, WorkspaceSchema, polars_type
from recsys.data.tables import canonical_table, title_column
from recsys.errors import DataError

_STEMS = {USER_ID: "users", ITEM_ID: "items"}


def read_folder(
    folder: Path,
    overrides: Path | None = None,
    *,
    existing: WorkspaceSchema | None = None,
    now: float | None = None,
) -> ImportedData:
    """Reads, checks and types a folder of the user's own.

    Args:
        folder: holds the files.
        overrides: a TOML that says what inference would get wrong (see `recsys.data.overrides`).
        existing: the schema of the workspace the data go to, if it exists: what it says is not inferred again.
        now: seconds since the epoch; None: the clock.

    Raises:
        DataError: the folder or its files cannot be used; one message lists everything that is wrong.
        ConfigError: the overrides file is wrong.
    """
    said = read_overrides(overrides)
    if not folder.is_dir():
        raise DataError(f"There is no folder {folder}. Give a folder that holds events.parquet or events.csv.")
    findings = Findings()
    events, clock = _events(folder, findings, now)
    known_users, known_items = (existing.user_columns, existing.item_columns) if existing else (None, None)
    users, user_types = _table(folder, USER_ID, findings, said=said.users, known=known_users)
    items, item_types = _table(folder, ITEM_ID, findings, said=said.items, known=known_items)
    title = _title(said, existing, item_types, findings)
    if said.clock is not None and said.clock != clock:
        findings.problem(said.file, f"it says clock = {str(said.clock).lower()}, the events file says otherwise")
    findings.stop_if_unusable(folder)
    schema = WorkspaceSchema(
        name=existing.name if existing else folder.resolve().name,
        clock=clock,
        repeats=_repeats(said, existing, events, findings),
        baskets=_baskets(said, existing),
        events=_meaning(said, existing, events, findings),
        user_columns=user_types,
        item_columns=item_types,
        title=title,
    )
    return ImportedData(
        source=str(folder),
        events=events,
        users=users,
        items=items,
        schema=schema,
        treatments=tuple(findings.treatments),
        notes=tuple(findings.notes),
    )


def _events(folder: Path, findings: Findings, now: float | None) -> tuple[pl.DataFrame, bool]:
    nothing = pl.DataFrame(schema=EVENT_SCHEMA)
    path = find_table(folder, "events", findings)
    if path is None:
        if not findings.problems:
            there = ", ".join(sorted(entry.name for entry in folder.iterdir())[:10]) or "nothing"
            findings.problem("events", f"there is neither events.parquet nor events.csv (there is: {there})")
        return nothing, True
    frame = read_table(path, findings)
    if frame is None:
        return nothing, True
    problems = event_problems(frame)
    for problem in problems:
        findings.problem(path.name, problem)
    clock = TIMESTAMP in frame.columns
    return (nothing if problems else canonical_events(frame, path.name, findings, now)), clock


def _table(
    folder: Path,
    key: str,
    findings: Findings,
    *,
    said: Mapping[str, str],
    known: Mapping[str, ColumnType] | None,
) -> tuple[pl.DataFrame, Mapping[str, ColumnType]]:
    stem = _STEMS[key]
    path = find_table(folder, stem, findings)
    if path is None:
        if said and known is None:
            findings.problem(
                stem, f"--schema speaks of columns of {stem}, but there is no {stem}.parquet or {stem}.csv"
            )
        types = known or {}
        return pl.DataFrame(schema={key: pl.String(), **{n: polars_type(t) for n, t in types.items()}}), types
    frame = read_table(path, findings)
    problems = [] if frame is None else table_problems(frame, key)
    for problem in problems:
        findings.problem(path.name, problem)
    if frame is None or problems:
        return pl.DataFrame(schema={key: pl.String()}), {}
    return canonical_table(frame, key, path.name, findings, said=said, known=known)


def _title(
    said: Overrides, existing: WorkspaceSchema | None, item_types: Mapping[str, ColumnType], findings: Findings
) -> str | None:
    if said.title is not None and said.title not in item_types:
        findings.problem(said.file, f"the title column '{said.title}' is not among the item columns")
        return None
    if said.title is not None or existing is not None:
        wanted = said.title or (existing.title if existing else None)
        return wanted if wanted in item_types else None
    return title_column(item_types)


def _repeats(said: Overrides, existing: WorkspaceSchema | None, events: pl.DataFrame, findings: Findings) -> bool:
    if said.repeats is not None:
        return said.repeats
    if existing is not None:
        return existing.repeats
    share = repeat_share(events)
    repeats = share > REPEAT_SHARE
    findings.note(
        f"Items {'repeat' if repeats else 'do not repeat'}: {share:.1%} of the user-item pairs come more than once "
        f"(above {REPEAT_SHARE:.0%} they repeat). Override with repeats = {str(not repeats).lower()} in --schema FILE."
    )
    return repeats


def _baskets(said: Overrides, existing: WorkspaceSchema | None) -> bool:
    """Only ever said, never inferred: ties in time are the rule in data without baskets, too."""
    return said.baskets if said.baskets is not None else existing is not None and existing.baskets


def _meaning(
    said: Overrides, existing: WorkspaceSchema | None, events: pl.DataFrame, findings: Findings
) -> EventMeaning:
    meaning = said.events or (existing.events if existing else EventMeaning())
    kinds = sorted(events[EVENT].drop_nulls().unique().to_list())
    named = {*(meaning.positive or ()), *meaning.negative, *meaning.weights}
    absent = sorted(named - set(kinds))
    if said.events is not None and absent:
        findings.note(f"{said.file} names kinds of events that do not occur: {', '.join(absent)}.")
    silent = [
        k for k in kinds if meaning.positive is not None and k not in meaning.positive and k not in meaning.negative
    ]
    if events.height and not events.select(meaning.is_positive().any()).item():
        findings.note(
            "None of these events counts as positive: nothing can be learnt from them. See [events] of --schema."
        )
    if silent:
        findings.note(f"Kinds of events that count as nothing: {', '.join(silent)}.")
    elif kinds and named.isdisjoint(kinds):
        findings.note(
            f"Every kind of event counts as positive, with weight 1: {', '.join(kinds)}. See [events] of --schema."
        )
    return meaning
