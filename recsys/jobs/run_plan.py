"""All that decides what a training run comes to, as it is written down when the run begins."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from recsys.durable import replace_file
from recsys.registry.lineage import code_hash
from recsys.training.config import TrainConfig
from recsys.training.dataset import Dataset


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """All that decides what a run comes to.

    Attributes:
        config: the resolved configuration, its seed among it.
        log_position: the newest event that it reads.
        fingerprint: of the data up to there.
        schema: SHA-256 of what data mean.
        code: SHA-256 over the sources that decide.
        begin_from: the version whose body this one's begins from.
        key: what the registered version is tagged with.
        version: that version, once there is one.
    """

    config: dict[str, Any]
    log_position: int
    fingerprint: str
    schema: str
    code: str
    begin_from: str | None
    key: str
    version: str | None = None

    def is_for(self, other: RunPlan) -> bool:
        """Whether both come to the same version, for a number of workers that may differ."""
        plain = [replace(plan, version=None, config=plan.config | {"workers": 0}) for plan in (self, other)]
        return plain[0] == plain[1]

    @classmethod
    def of(cls, config: TrainConfig, dataset: Dataset, begin_from: str | None, key: str) -> RunPlan:
        """What a run on these data, with this code, is."""
        return cls(
            config=config.model_dump(mode="json"),
            log_position=dataset.log_position,
            fingerprint=dataset.fingerprint(),
            schema=digest(repr(dataset.schema)),
            code=code_hash(),
            begin_from=begin_from,
            key=key,
        )

    @classmethod
    def read(cls, path: Path) -> RunPlan | None:
        """The plan in a file; None when there is none, or one of another version of this library."""
        try:
            return cls(**json.loads(path.read_bytes()))
        except (OSError, ValueError, TypeError):
            return None

    def write(self, path: Path) -> None:
        """Replaces the file. Keys of the configuration stay in their order: it is the experts' order."""
        replace_file(path, json.dumps(asdict(self), indent=2).encode() + b"\n")


def digest(text: str) -> str:
    """SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()
