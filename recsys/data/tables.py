"""Rows of a users or items file to canonical rows: one row an id, typed columns."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from recsys.data.column_types import infer_type, typed
from recsys.data.findings import Findings
from recsys.data.ids import canonical_ids
from recsys.data.overrides import IGNORE
from recsys.data.schema import ColumnType

TITLES = ("title", "name", "movie_title", "product_title", "product_name", "item_name")


def canonical_table(
    frame: pl.DataFrame,
    key: str,
    file: str,
    findings: Findings,
    *,
    said: Mapping[str, str],
    known: Mapping[str, ColumnType] | None = None,
) -> tuple[pl.DataFrame, dict[str, ColumnType]]:
    """The file's rows with typed columns.

    Args:
        frame: rows of a file without `table_problems`.
        key: the id column.
        file: its name, for messages.
        findings: collects treatments, notes and problems.
        said: column types from the user; "ignore" leaves a column out.
        known: the columns of the existing workspace: their types hold, other columns are left out unless `said`.

    Returns:
        key and the typed columns; and the columns' types in the file's order (the known ones in theirs).
    """
    unknown = [name for name in said if name not in frame.columns]
    if unknown:
        has = ", ".join(name for name in frame.columns if name != key) or "none"
        findings.problem(file, f"there are no columns {', '.join(unknown)}, which --schema speaks of (it has: {has})")
    frame = _one_row_an_id(frame, key, file, findings)
    types = _types(frame.drop(key), file, findings, said, known)
    converted = {key: frame[key]}
    for name, column_type in types.items():
        values, wrong = typed(frame[name], column_type)
        if wrong is not None:
            findings.problem(file, f"the column '{name}' {wrong}; give it another type with --schema")
        lost = values.null_count() - frame[name].null_count()
        findings.treated(file, f"NaN, infinite or blank values in '{name}'", lost, "taken as missing")
        converted[name] = values
    return pl.DataFrame(converted), types


def title_column(types: Mapping[str, ColumnType]) -> str | None:
    """The item column to show to people, by its name."""
    return next((name for name in TITLES if types.get(name) in ("text", "categorical")), None)


def _types(
    frame: pl.DataFrame,
    file: str,
    findings: Findings,
    said: Mapping[str, str],
    known: Mapping[str, ColumnType] | None,
) -> dict[str, ColumnType]:
    types: dict[str, ColumnType] = {}
    left_out: list[str] = []
    ours = [name for name in known or () if name in frame.columns]
    for name in (*ours, *(other for other in frame.columns if other not in ours)):
        column_type = said.get(name)
        if column_type is None:
            column_type = infer_type(frame[name]) if known is None else known.get(name)
        if column_type is None or column_type == IGNORE or not name.strip():
            left_out.append(name or "a column without a name")
        else:
            types[name] = column_type  # type: ignore[assignment]
    if left_out:
        why = "told to, empty, nameless or unusable" if known is None else "not in the workspace's schema"
        findings.note(f"{file}: columns left out ({why}): {', '.join(left_out)}.")
    return types


def _one_row_an_id(frame: pl.DataFrame, key: str, file: str, findings: Findings) -> pl.DataFrame:
    named = frame.with_columns(canonical_ids(frame[key]).alias(key))
    present = named.filter(pl.col(key).is_not_null())
    findings.treated(file, f"rows with an empty or missing {key}", named.height - present.height, "dropped")
    single = present.unique(subset=key, keep="last", maintain_order=True)
    findings.treated(file, f"rows with a {key} that comes again below", present.height - single.height, "dropped")
    return single
