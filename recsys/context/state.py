"""What the feature store was last materialised from, so that a job can tell whether its rows are still valid."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import orjson

from recsys.context.layout import offline_rows, state_file
from recsys.context.parts import write_text
from recsys.context.rows import feature_service_name
from recsys.data.schema import WorkspaceSchema
from recsys.events.log import EventLog
from recsys.shipped import shipped_folder
from recsys.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """All that stored rows are made from.

    Attributes:
        feature_service: the service's versioned name.
        schema_hash: SHA-256 of what shapes a row.
        definitions: SHA-256 of the Feast definitions.
        catalogue: SHA-256 of the users file, empty when there is none.
        log_position: sequence of the newest event.
        cuts: which offline rows there are, see `RowFolder.cuts`.
    """

    feature_service: str
    schema_hash: str
    definitions: str
    catalogue: str
    log_position: int
    cuts: tuple[int, ...]

    @classmethod
    def present(cls, workspace: Workspace, schema: WorkspaceSchema, cuts: Sequence[int]) -> Self:
        """The inputs as they are now."""
        return cls(
            feature_service=feature_service_name(schema),
            schema_hash=schema.feature_hash(),
            definitions=_digest(shipped_folder("features") / "user_features.py"),
            catalogue=_digest(workspace.users_file) if workspace.users_file.is_file() else "",
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

    def save(self, workspace: Workspace) -> None:
        """Keeps it as the workspace's last one."""
        plain = asdict(self) | {"parts": [str(part) for part in self.parts]}
        write_text(state_file(workspace), orjson.dumps(plain, option=orjson.OPT_INDENT_2).decode())

    @classmethod
    def last(cls, workspace: Workspace) -> Materialised | None:
        """The workspace's last one; None when there is none, or its parts are gone, elsewhere or another version's."""
        try:
            stored = orjson.loads(state_file(workspace).read_bytes())
            inputs = Inputs(**{**stored["inputs"], "cuts": tuple(stored["inputs"]["cuts"])})
            last = cls(**{**stored, "inputs": inputs, "parts": tuple(map(Path, stored["parts"]))})
        except (OSError, orjson.JSONDecodeError, TypeError, KeyError, AttributeError):
            return None
        folder = offline_rows(workspace).resolve()
        return last if all(part.is_file() and part.resolve().parent == folder for part in last.parts) else None


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
