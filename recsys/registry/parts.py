"""The small files of a snapshot, from checked bytes to plain values. Strict: nobody but recsys writes them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from recsys.data.schema import WorkspaceSchema
from recsys.data.schema_toml import schema_of
from recsys.errors import ConfigError, SnapshotError
from recsys.registry.manifest import REMEDY

SCHEMA_FILE = "schema.toml"
_Json = TypeVar("_Json", dict[str, Any], list[Any])


@dataclass(frozen=True, slots=True)
class SnapshotParts:
    """Parses them; every method raises a SnapshotError that names a file which is not as recsys writes it.

    Attributes:
        folder: where they were read, for messages.
        contents: the files' checked bytes by name.
    """

    folder: Path
    contents: Mapping[str, bytes]

    def json(self, name: str, kind: type[_Json]) -> _Json:
        """What `<name>.json` holds."""
        file = f"{name}.json"
        try:
            value = json.loads(self.contents[file], object_pairs_hook=_distinct, parse_constant=_no_number)
        except (ValueError, RecursionError) as error:
            raise self._malformed(file, str(error)) from error
        if not isinstance(value, kind):
            raise self._malformed(file, f"it holds a {type(value).__name__}, not a {kind.__name__}")
        return value

    def vocabulary(self) -> tuple[str, ...]:
        """The item ids, all different."""
        items = self.json("vocabulary", list)
        if not all(isinstance(item, str) for item in items) or len(set(items)) != len(items):
            raise self._malformed("vocabulary.json", "its item ids are not different strings")
        return tuple(items)

    def schema(self) -> WorkspaceSchema:
        """The workspace's schema as of training."""
        try:
            return schema_of(self.contents[SCHEMA_FILE], self.folder / SCHEMA_FILE)
        except ConfigError as error:
            raise SnapshotError(f"{error} {REMEDY}") from error

    def _malformed(self, file: str, why: str) -> SnapshotError:
        return SnapshotError(f"{self.folder / file} is not as recsys writes it: {why}. {REMEDY}")


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands in it twice")
    return found


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number")
