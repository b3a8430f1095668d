"""What live rows need of an online store beyond Feast's own interface. Every engine's store offers it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from feast import FeatureView, RepoConfig
    from feast.protos.feast.types.EntityKey_pb2 import EntityKey
    from feast.protos.feast.types.Value_pb2 import Value


class LiveStore(Protocol):
    """An online store with a fence: each write names its lease's token (`recsys.context.fencing`).

    A write with a smaller token than the largest seen raises FencedOffError and changes nothing, `online_write_batch`
    included; the check and the write are one transaction.
    """

    def online_read_views(
        self, config: RepoConfig, tables: Sequence[FeatureView], entity_keys: list[EntityKey]
    ) -> list[list[tuple[datetime | None, dict[str, Value] | None]]]:
        """For each view one (timestamp, features) an entity key, in order; (None, None) where there is no row."""
        ...

    def raise_fence(self, config: RepoConfig) -> None:
        """Shuts out every earlier holder of the lease from now on."""
        ...

    def folded_up_to(self, config: RepoConfig, version: str) -> int:
        """The log position up to which every event is in its user's row of a version; 0 where there are no rows."""
        ...

    def note_folded(self, config: RepoConfig, version: str, position: int) -> None:
        """Keeps that every event up to this log position is in its user's row of that version."""
        ...

    def forget_folded(self, config: RepoConfig, version: str) -> None:
        """Keeps nothing of a version that has no rows any longer."""
        ...

    def online_remove(self, config: RepoConfig, entity_keys: Sequence[EntityKey]) -> None:
        """Removes these entities' rows from every view of every version, to the last byte."""
        ...

    def delete_older(self, config: RepoConfig, table: FeatureView, moment: datetime) -> None:
        """Removes a view's rows that were last written with an earlier timestamp."""
        ...

    def scrub(self, config: RepoConfig) -> None:
        """Leaves no byte of rows that were removed, where the engine would."""
        ...
