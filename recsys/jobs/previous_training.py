"""Remembers the last training run, so that a run that would make the same model can be spared."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from recsys.errors import ConfigError, SnapshotError
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
        fingerprint: of the data that it read.
        log_position: the newest event it read.
        result: its TrainResult as plain values.
    """

    config: dict[str, Any]
    code: str
    fingerprint: str
    log_position: int
    result: dict[str, Any]

    @classmethod
    def still_valid(
        cls, workspace: Workspace, config: TrainConfig, dataset: Dataset, growth: float
    ) -> PreviousTraining | None:
        """The last run when it would come out the same but for at most `growth` new events a known event.

        Raises:
            RegistryError: the registry cannot be read; a new run could not be registered either.
        """
        try:
            previous = cls(**json.loads((workspace.root / _FILE).read_text()))
        except (OSError, ValueError, TypeError):
            return None
        grown = dataset.log_position - previous.log_position
        same = (
            previous.config == config.model_dump(mode="json")
            and previous.code == code_hash()
            and 0 <= grown <= growth * previous.log_position
        )
        if not same or not _whole(workspace, previous.result):
            return None
        read_then = dataset if grown == 0 else Dataset.load(workspace, upto=previous.log_position)
        return previous if read_then.fingerprint() == previous.fingerprint else None

    @classmethod
    def remember(cls, workspace: Workspace, config: TrainConfig, dataset: Dataset, result: dict[str, Any]) -> None:
        """Writes the run down, atomically."""
        entry = cls(
            config=config.model_dump(mode="json"),
            code=code_hash(),
            fingerprint=dataset.fingerprint(),
            log_position=dataset.log_position,
            result=result,
        )
        unfinished = workspace.root / f".{_FILE}"
        unfinished.write_text(json.dumps(asdict(entry), indent=2, sort_keys=True))
        unfinished.replace(workspace.root / _FILE)


def _whole(workspace: Workspace, result: dict[str, Any]) -> bool:
    """Whether the version that the run registered is still there, with a snapshot that is undamaged."""
    from recsys.registry.chosen import chosen_version

    try:
        chosen = chosen_version(workspace, result["model_version"])
    except (ConfigError, SnapshotError, KeyError):
        return False
    return chosen.snapshot.content_hash == str(result.get("content_hash"))
