"""A workspace schema as TOML: writing, strict reading, and the partial files people use to override inference."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TypeGuard, cast

from recsys.data.schema import COLUMN_TYPES, ColumnType, EventMeaning, WorkspaceSchema
from recsys.durable import replace_file
from recsys.errors import ConfigError

MOST_WEIGHT = 1000.0
"""Of an event kind: larger ones drown every other event."""
_TOP = {"name": str, "clock": bool, "repeats": bool, "baskets": bool, "title": str}
_TABLES = ("events", "users", "items")
_EVENT_KEYS = ("positive", "negative", "weights", "min_value")


def write_schema(schema: WorkspaceSchema, path: Path) -> None:
    """Writes the schema to `path` atomically, making its folder."""
    replace_file(path, schema_text(schema).encode())


def schema_text(schema: WorkspaceSchema) -> str:
    """The schema as TOML text; equal schemas give equal text."""
    lines = [
        f"name = {_string(schema.name)}",
        f"clock = {str(schema.clock).lower()}",
        f"repeats = {str(schema.repeats).lower()}",
    ]
    if schema.baskets:  # left out where false: workspaces older than the flag keep their text
        lines.append("baskets = true")
    if schema.title is not None:
        lines.append(f"title = {_string(schema.title)}")
    lines += ["", "[events]"]
    if schema.events.positive is not None:
        lines.append(f"positive = {_strings(schema.events.positive)}")
    lines.append(f"negative = {_strings(schema.events.negative)}")
    if schema.events.min_value is not None:
        lines.append(f"min_value = {float(schema.events.min_value)!r}")
    lines += ["", "[events.weights]"]
    lines += [f"{_string(kind)} = {float(weight)!r}" for kind, weight in schema.events.weights.items()]
    for table, columns in (("users", schema.user_columns), ("items", schema.item_columns)):
        lines += ["", f"[{table}]"]
        lines += [f"{_string(name)} = {_string(kind)}" for name, kind in columns.items()]
    return "\n".join(lines) + "\n"


def read_schema(path: Path) -> WorkspaceSchema:
    """Reads a whole schema.

    Raises:
        ConfigError: the file is missing, not TOML, incomplete, or holds unknown keys or wrong types; all are listed.
    """
    return _schema(read_toml(path), path)


def schema_of(content: bytes, where: Path) -> WorkspaceSchema:
    """The same of bytes that were read already; `where` is what messages call them."""
    return _schema(_parsed(content, where), where)


def _schema(content: Mapping[str, object], path: Path) -> WorkspaceSchema:
    problems = schema_problems(content)
    if "name" not in content:
        problems.append("the key 'name' is missing")
    if problems:
        raise ConfigError(f"{path} is not a workspace schema: {'; '.join(problems)}.")
    return WorkspaceSchema(
        name=cast(str, content["name"]),
        clock=cast(bool, content.get("clock", True)),
        repeats=cast(bool, content.get("repeats", False)),
        baskets=cast(bool, content.get("baskets", False)),
        events=event_meaning(cast(Mapping[str, object], content.get("events", {}))),
        user_columns=cast(dict[str, ColumnType], content.get("users", {})),
        item_columns=cast(dict[str, ColumnType], content.get("items", {})),
        title=cast(str | None, content.get("title")),
    )


def read_toml(path: Path) -> dict[str, object]:
    """The file's content.

    Raises:
        ConfigError: there is no such file, or it is not TOML.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(f"There is no schema file {path}.") from None
    except OSError as error:
        raise ConfigError(f"The schema file {path} cannot be read as TOML: {error}.") from error
    return _parsed(content, path)


def _parsed(content: bytes, where: Path) -> dict[str, object]:
    try:
        return tomllib.loads(content.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"The schema file {where} cannot be read as TOML: {error}.") from error


def event_meaning(table: Mapping[str, object]) -> EventMeaning:
    """The [events] table of a checked file."""
    positive = cast(list[str] | None, table.get("positive"))
    minimum = cast(float | None, table.get("min_value"))
    weights = cast(Mapping[str, float], table.get("weights", {}))
    return EventMeaning(
        positive=None if positive is None else tuple(positive),
        negative=tuple(cast(list[str], table.get("negative", []))),
        weights={kind: float(weight) for kind, weight in weights.items()},
        min_value=None if minimum is None else float(minimum),
    )


def schema_problems(content: Mapping[str, object], extra_column_types: tuple[str, ...] = ()) -> list[str]:
    """Everything wrong with the content of a schema file; empty when nothing is.

    Args:
        content: parsed TOML.
        extra_column_types: words allowed as a column's type besides the column types ("ignore" in an override file).
    """
    problems = [f"unknown key '{key}'" for key in content if key not in _TOP and key not in _TABLES]
    for key, python_type in _TOP.items():
        if key in content and not isinstance(content[key], python_type):
            problems.append(f"'{key}' must be {'true or false' if python_type is bool else 'text'}")
    tables = {name: content.get(name, {}) for name in _TABLES}
    problems += [f"[{name}] must be a table" for name, table in tables.items() if not isinstance(table, dict)]
    whole = {
        name: cast(Mapping[str, object], table) if isinstance(table, dict) else {} for name, table in tables.items()
    }
    allowed = (*COLUMN_TYPES, *extra_column_types)
    for table in ("users", "items"):
        for column, kind in whole[table].items():
            if kind not in allowed:
                problems.append(f"[{table}] {column} = {kind!r} is no column type (use {', '.join(allowed)})")
    return problems + _event_problems(whole["events"])


def _event_problems(table: Mapping[str, object]) -> list[str]:
    problems = [f"unknown key '{key}' in [events]" for key in table if key not in _EVENT_KEYS]
    for key in ("positive", "negative"):
        kinds = table.get(key, [])
        if not isinstance(kinds, list) or not all(isinstance(kind, str) for kind in kinds):
            problems.append(f"[events] {key} must be a list of event kinds")
    weights = table.get("weights", {})
    if not isinstance(weights, dict) or not all(_is_weight(weight) for weight in weights.values()):
        problems.append(f"[events.weights] must give each event kind a number from 0 to {MOST_WEIGHT:g}")
    if not _is_number(table.get("min_value", 0)):
        problems.append("[events] min_value must be a number")
    return problems


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < float("inf")


def _is_weight(value: object) -> bool:
    return _is_number(value) and 0 <= value <= MOST_WEIGHT


def _string(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _strings(texts: tuple[str, ...]) -> str:
    return f"[{', '.join(_string(text) for text in texts)}]"
