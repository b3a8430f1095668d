"""What a run was trained on, as MLflow lists data sets: a name, a digest and counts. Reads no data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput

_LONGEST_DIGEST = 36


@dataclass(frozen=True, slots=True)
class TrackedData:
    """What a run was trained on, as MLflow lists it.

    Attributes:
        name: the workspace's.
        fingerprint: SHA-256 over everything that training read.
        profile: counts and the log's position.
    """

    name: str
    fingerprint: str
    profile: Mapping[str, int]

    def as_input(self) -> DatasetInput:
        """MLflow's own record of it."""
        from mlflow.entities import Dataset, DatasetInput

        source = json.dumps({"event_log_of": self.name, **self.profile})
        profile = json.dumps(dict(self.profile))
        digest = self.fingerprint[:_LONGEST_DIGEST]
        return DatasetInput(Dataset(self.name, digest, source_type="recsys", source=source, profile=profile))
