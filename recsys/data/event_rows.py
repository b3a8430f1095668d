"""Rows of a checked events file to canonical events, with a stated treatment for every row that is not plain."""

from __future__ import annotations

import time

import polars as pl

from recsys.columns import EVENT, ITEM_ID, OCCURRED_AT, POSITION, REQUEST_ID, TIMESTAMP, USER_ID, VALUE
from recsys.data.canonical import CLOCKLESS_START, EVENT_SCHEMA, MICROSECONDS, drop_duplicates, with_event_ids
from recsys.data.checks import RATING
from recsys.data.findings import Findings
from recsys.data.ids import REQUEST_ID_FORM, canonical_ids
from recsys.data.moments import future_limit, moments

REPEAT_SHARE = 0.05
_USED = (USER_ID, ITEM_ID, TIMESTAMP, POSITION, RATING, VALUE, EVENT, REQUEST_ID)


def canonical_events(frame: pl.DataFrame, file: str, findings: Findings, now: float | None = None) -> pl.DataFrame:
    """Events in canonical form, in order of time; ties in time keep position, then the file's order.

    Args:
        frame: rows of a file without `event_problems`.
        file: its name, for messages.
        findings: collects treatments, notes and problems.
        now: seconds since the epoch; None: the clock.

    Returns:
        Columns of EVENT_SCHEMA, and request_id where the file has it; empty, with a problem found, when no row can be
        used.
    """
    clock = TIMESTAMP in frame.columns
    rows = pl.DataFrame(
        {
            USER_ID: canonical_ids(frame[USER_ID]),
            ITEM_ID: canonical_ids(frame[ITEM_ID]),
            OCCURRED_AT: _times(frame, file, findings) if clock else _places(frame[POSITION]),
            EVENT: _kinds(frame),
            VALUE: _values(frame, file, findings),
            POSITION: _places(frame[POSITION]) if POSITION in frame.columns else pl.zeros(frame.height, eager=True),
        }
    )
    if REQUEST_ID in frame.columns:
        rows = rows.with_columns(_requests(frame[REQUEST_ID], file, findings))
    rows = _dropping(rows, pl.col(USER_ID).is_null(), file, "rows with an empty or missing user_id", findings)
    rows = _dropping(rows, pl.col(ITEM_ID).is_null(), file, "rows with an empty or missing item_id", findings)
    when = pl.col(OCCURRED_AT)
    if clock:
        limit = future_limit(time.time() if now is None else now)
        rows = _dropping(rows, when.is_null(), file, "rows with a missing or unreadable timestamp", findings)
        rows = _dropping(rows, when <= 0, file, "rows with a zero or negative timestamp", findings)
        rows = _dropping(rows, when > limit, file, "rows with a timestamp more than a day ahead of now", findings)
    else:
        rows = _dropping(rows, when.is_null(), file, "rows without a position", findings)
    if rows.height == 0:
        reasons = ", ".join(f"{t.rows} {t.what}" for t in findings.treatments if t.file == file and t.done == "dropped")
        findings.problem(file, f"no row of {frame.height} can be used ({reasons})")
        return pl.DataFrame(schema=EVENT_SCHEMA)
    left_out = [name for name in frame.columns if name not in _USED]
    if left_out:
        findings.note(f"{file}: columns not used: {', '.join(left_out)}.")
    plain = drop_duplicates(rows.sort(OCCURRED_AT, POSITION, nulls_last=True, maintain_order=True))
    findings.treated(file, "duplicate rows", rows.height - plain.height, "dropped, one of each kept")
    return with_event_ids(plain)


def repeat_share(events: pl.DataFrame) -> float:
    """Share of (user, item, kind of event) triples that occur more than once."""
    times = events.group_by(USER_ID, ITEM_ID, EVENT).len()
    return float(times.select((pl.col("len") > 1).mean()).item() or 0.0)


def _times(frame: pl.DataFrame, file: str, findings: Findings) -> pl.Series:
    times, how = moments(frame[TIMESTAMP])
    findings.note(f"{file}: timestamps read as {how}.")
    if POSITION in frame.columns:
        findings.note(f"{file}: there is a timestamp and a position; positions only order events of equal time.")
    return times


def _places(positions: pl.Series) -> pl.Series:
    if positions.dtype.is_float():
        positions = positions.fill_nan(None)
    return CLOCKLESS_START + positions.cast(pl.Int64) * MICROSECONDS


def _kinds(frame: pl.DataFrame) -> pl.Series:
    if EVENT not in frame.columns:
        return pl.repeat(None, frame.height, dtype=pl.String, eager=True)
    kinds = frame[EVENT].cast(pl.String)
    return kinds.set(kinds.str.strip_chars() == "", None)


def _values(frame: pl.DataFrame, file: str, findings: Findings) -> pl.Series:
    name = next((column for column in (RATING, VALUE) if column in frame.columns), None)
    if name is None:
        return pl.repeat(1.0, frame.height, dtype=pl.Float32, eager=True)
    values = frame[name].cast(pl.Float32)
    values = values.set(~values.is_finite(), None)
    findings.treated(file, f"rows with a missing, NaN or infinite {name}", values.null_count(), "kept without a value")
    return values


def _requests(ids: pl.Series, file: str, findings: Findings) -> pl.Series:
    requests = ids.cast(pl.String)
    usable = requests.str.contains(f"^{REQUEST_ID_FORM}$")
    findings.treated(file, "rows with a request_id of another form", int((~usable).sum()), "kept without it")
    return requests.set(~usable, None)


def _dropping(rows: pl.DataFrame, bad: pl.Expr, file: str, what: str, findings: Findings) -> pl.DataFrame:
    kept = rows.filter(~bad)
    findings.treated(file, what, rows.height - kept.height, "dropped")
    return kept
