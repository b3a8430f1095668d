"""The job that says how the feature store stands to its event log. It reads no row and writes nothing."""

from __future__ import annotations

from dataclasses import dataclass

from recsys.context.rows import feature_schema
from recsys.context.state import Inputs, Materialised
from recsys.data.schema import WorkspaceSchema
from recsys.jobs.materialise import CUTS
from recsys.workspace import Workspace


@dataclass(frozen=True, slots=True)
class FeatureStatus:
    """How the feature store stands to its event log.

    Attributes:
        workspace: name of the workspace.
        last: the last materialisation, None when there is none.
        log_position: sequence of the log's newest event.
        stale: what has changed since: "log", "catalogue", "schema", "schema of items", "definitions".
    """

    workspace: str
    last: Materialised | None
    log_position: int
    stale: tuple[str, ...]

    def as_dict(self) -> dict[str, object]:
        """Plain values, for --json."""
        return {
            "workspace": self.workspace,
            "materialised": self.last is not None,
            "feature_service": None if self.last is None else self.last.inputs.feature_service,
            "materialised_position": None if self.last is None else self.last.inputs.log_position,
            "log_position": self.log_position,
            "users": 0 if self.last is None else self.last.users,
            "offline_rows": 0 if self.last is None else self.last.offline_rows,
            "stale": list(self.stale),
        }

    def sentence(self) -> str:
        """For people."""
        materialise = f"recsys features materialise --workspace {self.workspace}"
        if self.last is None:
            return f"There are no features yet. Make them with: {materialise}"
        held = (
            f"{self.last.users:,} users online, {self.last.offline_rows:,} rows of past moments offline, folded at log "
            f"position {self.last.inputs.log_position:,} ({self.last.inputs.feature_service})."
        )
        if not self.stale:
            return f"{held} Nothing has changed since."
        return (
            f"{held} Changed since: {', '.join(self.stale)} (the log is at {self.log_position:,}). New events are "
            f"folded in as rows are read; to store them: {materialise}"
        )


def feature_status(workspace: Workspace) -> FeatureStatus:
    """Compares what is stored with what it would be made from now. Reads no row."""
    schema = WorkspaceSchema.load(workspace.schema_file)
    last = Materialised.last(workspace, feature_schema(schema))
    now = Inputs.present(workspace, schema, CUTS if last is None else last.inputs.cuts)
    parts = {
        "log": "log_position",
        "catalogue": "catalogue",
        "schema": "schema_hash",
        "schema of items": "item_schema_hash",
        "definitions": "definitions",
    }
    stale = () if last is None else tuple(n for n, f in parts.items() if getattr(last.inputs, f) != getattr(now, f))
    return FeatureStatus(workspace=workspace.name, last=last, log_position=now.log_position, stale=stale)
