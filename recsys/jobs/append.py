"""The job that appends events to an existing workspace's log: a file of them, or a single one."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import polars as pl

from recsys.columns import EVENT, EVENT_ID, ITEM_ID, REQUEST_ID, TIMESTAMP, USER_ID, VALUE
from recsys.data.border import check_events
from recsys.data.canonical import EVENT_SCHEMA
from recsys.data.catalogue import Catalogue
from recsys.data.checks import event_problems
from recsys.data.event_rows import canonical_events
from recsys.data.files import JSON_LINES, SUFFIXES, read_table
from recsys.data.findings import Findings
from recsys.data.ids import REQUEST_ID_FORM
from recsys.data.imported import Treatment
from recsys.errors import DataError
from recsys.events.log import EventLog
from recsys.workspace import Workspace

_KEYS = (USER_ID, ITEM_ID, TIMESTAMP, EVENT, VALUE, EVENT_ID, REQUEST_ID)


@dataclass(frozen=True, slots=True)
class AppendResult:
    """What an append did.

    Attributes:
        appended: events that were new to the log.
        already_there: events the log had already.
        position: the log's position afterwards.
        unknown_items: different items among the events that the catalogue does not know; they are kept.
        treatments: what was done with rows that were not plain.
        withheld: events that happened before their user was deleted; they were left out.
        conflicts: how many of the events that were there say something else under the same id; the first stays.
    """

    appended: int
    already_there: int
    position: int
    unknown_items: int
    treatments: tuple[Treatment, ...] = ()
    withheld: int = 0
    conflicts: int = 0

    def as_dict(self) -> dict[str, object]:
        """Plain values, for --json."""
        return asdict(self)


def append_file(workspace: Workspace, path: Path) -> AppendResult:
    """Appends the events of a parquet, csv or JSON-lines file with the columns of an imported events file.

    Raises:
        DataError: the file cannot be used; one message lists everything that is wrong. Nothing was appended.
    """
    if not path.is_file():
        raise DataError(f"There is no file {path}. Give a parquet, csv or jsonl file of events.")
    if path.suffix not in (*SUFFIXES, *JSON_LINES):
        raise DataError(f"{path} must end in one of {', '.join((*SUFFIXES, *JSON_LINES))}.")
    findings = Findings()
    events = _events(path, Catalogue.load(workspace).schema.clock, findings)
    findings.stop_if_unusable(path.parent)
    return _append(workspace, events, path.name, tuple(findings.treatments))


def append_event(workspace: Workspace, event: Mapping[str, object]) -> AppendResult:
    """Appends one event.

    Args:
        workspace: an existing workspace.
        event: user_id, item_id, and optionally timestamp (number or ISO 8601; now if missing), event, value,
            request_id (the recommendations that it answers) and event_id (sending it again changes nothing).

    Raises:
        DataError: keys or values are wrong; all are listed. Nothing was appended.
    """
    unknown = [key for key in event if key not in _KEYS]
    missing = [key for key in (USER_ID, ITEM_ID) if event.get(key) in (None, "")]
    problems = [f"unknown key '{key}' (known: {', '.join(_KEYS)})" for key in unknown]
    problems += [f"'{key}' is missing or empty" for key in missing]
    nested = [key for key, value in event.items() if isinstance(value, dict | list)]
    problems += [f"'{key}' must be one plain value" for key in nested]
    if event.get(REQUEST_ID) is not None and not re.fullmatch(REQUEST_ID_FORM, str(event[REQUEST_ID])):
        problems.append(f"'{REQUEST_ID}' is no id of a reply")
    if problems:
        raise DataError(f"This event cannot be appended: {'; '.join(problems)}.")
    given = {key: [value] for key, value in event.items() if key != EVENT_ID and value is not None}
    frame = pl.DataFrame({TIMESTAMP: [time.time_ns() // 1000], **given})
    findings = Findings()
    for problem in event_problems(frame):
        findings.problem("event", problem)
    if not findings.problems:
        frame = canonical_events(frame, "event", findings)
    if findings.problems:
        raise DataError(f"This event cannot be appended: {'; '.join(findings.problems)}.")
    if event.get(EVENT_ID) is not None:
        frame = frame.with_columns(pl.lit(str(event[EVENT_ID])).alias(EVENT_ID))
    return _append(workspace, frame, "this call", ())


def _events(path: Path, clock: bool, findings: Findings) -> pl.DataFrame:
    frame = read_table(path, findings)
    problems = [] if frame is None else event_problems(frame)
    if frame is not None and clock and not problems and TIMESTAMP not in frame.columns:
        problems = [f"the workspace has a clock, so its events need a '{TIMESTAMP}'"]
    for problem in problems:
        findings.problem(path.name, problem)
    if frame is None or problems:
        return pl.DataFrame(schema=EVENT_SCHEMA)
    return canonical_events(frame, path.name, findings)


def _append(workspace: Workspace, events: pl.DataFrame, source: str, treatments: tuple[Treatment, ...]) -> AppendResult:
    catalogue = Catalogue.load(workspace)
    check_events(events, source, clock=catalogue.schema.clock)
    known = catalogue.items.select(ITEM_ID)
    unknown = events.select(pl.col(ITEM_ID).unique()).join(known, on=ITEM_ID, how="anti").height
    appended = EventLog(workspace.event_log).append(events)
    return AppendResult(
        appended=appended.accepted,
        already_there=appended.duplicates,
        position=appended.last_sequence,
        unknown_items=unknown,
        treatments=treatments,
        withheld=appended.withheld,
        conflicts=appended.conflicts,
    )
