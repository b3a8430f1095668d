"""Remembers the last training run, so that a run that would make the same model can be spared."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from recsys.errors import SnapshotError
from recsys.registry.lineage import code_hash
from recsys.training.config import TrainConfig
from recsys.training.dataset import Dataset
from recsys.workspace import Workspace

_FILE = "last-training.json"


@dataclass(frozen=True, slots=True)
class PreviousTraining:
    """The last run, what decided it, and what it gave.

    Attributes:
        config: its resolved configuration.
        code: SHA-256 over the sources that decide.
        schema: the feature schema's hash.
        log_position: the newest event it read.
        result: its TrainResult as plain values.
    """

    config: dict[str, Any]
    code: str
    schema: str
    log_position: int
    result: dict[str, Any]

    @classmethod
    def still_valid(
        cls, workspace: Workspace, config: TrainConfig, dataset: Dataset, growth: float
    ) -> PreviousTraining | None:
        """The last run when it would come out the same but for at most `growth` new events a known event."""
        try:
            previous = cls(**json.loads((workspace.root / _FILE).read_text()))
        except (OSError, ValueError, TypeError):
            return None
        same = (
            previous.config == config.model_dump(mode="json")
            and previous.code == code_hash()
            and previous.schema == dataset.schema.feature_hash()
        )
        grown = dataset.log_position - previous.log_position
        return previous if same and 0 <= grown <= growth * previous.log_position and _whole(previous.result) else None

    @classmethod
    def remember(cls, workspace: Workspace, config: TrainConfig, dataset: Dataset, result: dict[str, Any]) -> None:
        """Writes the run down, atomically."""
        entry = cls(
            config=config.model_dump(mode="json"),
            code=code_hash(),
            schema=dataset.schema.feature_hash(),
            log_position=dataset.log_position,
            result=result,
        )
        unfinished = workspace.root / f".{_FILE}"
        unfinished.write_text(json.dumps(asdict(entry), indent=2, sort_keys=True))
        unfinished.replace(workspace.root / _FILE)


def _whole(result: dict[str, Any]) -> bool:
    from pathlib import Path

    from recsys.registry.snapshot import verify_snapshot

    try:
        verify_snapshot(Path(result["snapshot"]), content_hash=result["content_hash"])
    except (SnapshotError, KeyError):
        return False
    return True
