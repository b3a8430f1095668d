"""What the feature store was last materialised from, so that a job can tell whether its rows are still valid."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import orjson

from recsys.context.feature_schema import FeatureSchema
from recsys.context.item_rows import item_feature_schema
from recsys.context.row_folders import materialisation_file, user_row_folder
from recsys.context.rows import feature_schema
from recsys.data.schema import WorkspaceSchema
from recsys.durable import replace_file
from recsys.events.log import EventLog
from recsys.shipped import shipped_folder
from recsys.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """All that stored rows are made from.

    Attributes:
        feature_service: the service's versioned name.
        schema_hash: SHA-256 of what shapes a user's row.
        item_schema_hash: SHA-256 of what shapes an item's row.
        definitions: SHA-256 of the Feast definitions.
        catalogue: SHA-256 over the files of users and items.
        log_position: sequence of the newest event.
        cuts: which offline rows there are, see `RowFolder.cuts`.
    """

    feature_service: str
    schema_hash: str
    item_schema_hash: str
    definitions: str
    catalogue: str
    log_position: int
    cuts: tuple[int, ...]

    @classmethod
    def present(cls, workspace: Workspace, schema: WorkspaceSchema, cuts: Sequence[int]) -> Self:
        """The inputs as they are now."""
        version = feature_schema(schema)
        return cls(
            feature_service=version.service,
            schema_hash=version.sha256,
            item_schema_hash=item_feature_schema(schema).sha256,
            definitions=_digest(
                shipped_folder("features") / f"{name}.py" for name in ("user_features", "item_features")
            ),
            catalogue=_digest([workspace.users_file, workspace.items_file]),
            log_position=EventLog(workspace.event_log).position(),
            cuts=tuple(cuts),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Materialised:
    """One materialisation.

    Attributes:
        inputs: what it was made from.
        parts: the parquet parts with the offline rows.
        users: users with a row online.
        offline_rows: rows in the parts.
        online: what `mark_online` returned.
        seconds: how long it took.
    """

    inputs: Inputs
    parts: tuple[Path, ...]
    users: int
    offline_rows: int
    online: str
    seconds: float

    def save(self, workspace: Workspace, version: FeatureSchema) -> None:
        """Keeps it as the last one of that version of the features."""
        plain = asdict(self) | {"parts": [str(part) for part in self.parts]}
        replace_file(materialisation_file(workspace, version), orjson.dumps(plain, option=orjson.OPT_INDENT_2))

    @classmethod
    def last(cls, workspace: Workspace, version: FeatureSchema) -> Materialised | None:
        """The last one of that version; None when there is none, or its parts are gone or elsewhere."""
        try:
            stored = orjson.loads(materialisation_file(workspace, version).read_bytes())
            inputs = Inputs(**{**stored["inputs"], "cuts": tuple(stored["inputs"]["cuts"])})
            last = cls(**{**stored, "inputs": inputs, "parts": tuple(map(Path, stored["parts"]))})
        except (OSError, orjson.JSONDecodeError, TypeError, KeyError, AttributeError):
            return None
        folder = user_row_folder(workspace, version).resolve()
        return last if all(part.is_file() and part.resolve().parent == folder for part in last.parts) else None


def _digest(paths: Iterable[Path]) -> str:
    """SHA-256 over the hashes of files; one that is missing counts as such."""
    together = hashlib.sha256()
    for path in paths:
        if path.is_file():
            with path.open("rb") as file:
                together.update(hashlib.file_digest(file, "sha256").digest())
        together.update(b"/")
    return together.hexdigest()
