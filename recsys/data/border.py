"""The border that every imported data set crosses: pandera schemas of the canonical frames, whoever made them."""

from __future__ import annotations

import pandera.polars as pa
import polars as pl
from pandera.errors import SchemaError, SchemaErrors

from recsys.columns import EVENT, EVENT_ID, ITEM_ID, USER_ID, VALUE
from recsys.data.canonical import EVENT_SCHEMA
from recsys.data.imported import ImportedData
from recsys.errors import DataError

_NULLABLE = (EVENT, VALUE)


def check_imported(imported: ImportedData) -> None:
    """Checks the three frames of a data set against what the log and the catalogue take.

    Raises:
        DataError: a frame is not canonical; everything wrong with all three is listed.
    """
    schema = imported.schema
    problems = [
        *_problems("events", imported.events, EVENT_SCHEMA, EVENT_ID),
        *_problems("users", imported.users, schema.users_frame_schema(), USER_ID),
        *_problems("items", imported.items, schema.items_frame_schema(), ITEM_ID),
    ]
    if problems:
        listed = "\n".join(f"  - {problem}" for problem in problems)
        raise DataError(f"The data from {imported.source} are not in canonical form:\n{listed}\nNothing was imported.")


def _problems(name: str, frame: pl.DataFrame, types: pl.Schema, key: str) -> list[str]:
    required = [column for column in types if column not in _NULLABLE] if name == "events" else [key]
    columns = {
        column: pa.Column(dtype, nullable=column not in required, checks=_not_blank(column))
        for column, dtype in types.items()
    }
    schema = pa.DataFrameSchema(columns, unique=[key], strict=True, ordered=False)
    try:
        schema.validate(frame, lazy=True)
    except SchemaErrors as errors:
        return [f"{name}: {_sentence(error)}" for error in errors.schema_errors]
    return []


def _not_blank(column: str) -> list[pa.Check]:
    if column not in (EVENT_ID, USER_ID, ITEM_ID):
        return []
    return [
        pa.Check(
            lambda data: data.lazyframe.select(pl.col(data.key).str.strip_chars() != ""), error=f"'{column}' is blank"
        )
    ]


def _sentence(error: SchemaError) -> str:
    reason = getattr(error.reason_code, "name", "")
    if reason == "COLUMN_NOT_IN_DATAFRAME":
        return f"the column '{error.failure_cases}' is missing"
    if reason == "COLUMN_NOT_IN_SCHEMA":
        return f"the column '{error.failure_cases}' is not in the schema"
    if reason == "DUPLICATES":
        return "an id comes more than once"
    own = getattr(error.check, "error", None)
    return str(own or error).strip().split("\n")[0]
