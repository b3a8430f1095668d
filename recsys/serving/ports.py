"""What the service needs from the rest of the library, as Protocols, so that it runs on fakes and on real stores."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import polars as pl

from recsys.context.batch import FeatureRow
from recsys.data.schema import WorkspaceSchema
from recsys.errors import RecsysError
from recsys.model.portable import PortableHead
from recsys.serving.messages.degraded import ModelReason


class NoChampionError(RecsysError):
    """There is no model to answer with; the message says how to get one."""


class RankedItems(Protocol):
    """One context's answer, best first; both tuples have the same length."""

    @property
    def item_ids(self) -> tuple[str, ...]: ...

    @property
    def scores(self) -> tuple[float, ...]: ...


class Explained(Protocol):
    """Why one item scores as it does; `recsys.ranking.explanation.Explanation` is one."""

    @property
    def experts(self) -> Mapping[str, float]: ...

    @property
    def history(self) -> Sequence[tuple[str, float]]: ...


class Estimated(Protocol):
    """Scores of given items, in the order asked; `recsys.ranking.estimates.Estimates` is one."""

    @property
    def scores(self) -> tuple[float | None, ...]: ...

    @property
    def probabilities(self) -> tuple[float | None, ...] | None: ...


class Ranker(Protocol):
    """A loaded model: `recsys.ranking.recommender.Recommender` or a fake of it."""

    def recommend(
        self,
        rows: Sequence[FeatureRow],
        k: int = 10,
        *,
        exclude_seen: bool | None = None,
        exclude_items: Sequence[str] = (),
        include_only: Sequence[str] | None = None,
        allowed: np.ndarray | None = None,
        diversity: float = 0.0,
    ) -> Sequence[RankedItems]:
        """One ranking a row, at most k items each."""
        ...

    def flags(self, item_ids: Sequence[str]) -> np.ndarray:
        """(n_items,) bool in the order of `allowed`: True at these items."""
        ...

    def estimate(
        self, rows: Sequence[FeatureRow], item_ids: Sequence[Sequence[str]], *, probabilities: bool = False
    ) -> Sequence[Estimated]:
        """Scores of each row's own items, in one forward pass."""
        ...

    def similar(self, item_id: str, k: int = 10, *, allowed: np.ndarray | None = None) -> RankedItems:
        """Items like an item that the model knows, most alike first."""
        ...

    def portable(self, row: FeatureRow, item_ids: Sequence[str]) -> PortableHead:
        """One context's head with all that is needed to score these items, which the model knows, elsewhere."""
        ...

    def explain(self, row: FeatureRow, item_ids: Sequence[str]) -> Sequence[Explained]:
        """Why these items score as they do for this context, in that order."""
        ...


class OnlineContexts(Protocol):
    """Feature rows as of now; `recsys.context.reader.ContextReader` is one."""

    def online(self, user_ids: Sequence[str]) -> Sequence[FeatureRow]:
        """One row a user, in that order, the acknowledged tail of the log folded in."""
        ...


class Appended(Protocol):
    """What the event log says of an append; `last_sequence` is its position afterwards."""

    @property
    def last_sequence(self) -> int: ...

    @property
    def accepted(self) -> int: ...

    @property
    def duplicates(self) -> int: ...

    @property
    def withheld(self) -> int: ...

    @property
    def conflicts(self) -> int: ...


class EventSink(Protocol):
    """The event log: durable when `append` returns, idempotent by event_id."""

    def append(self, frame: pl.DataFrame) -> Appended: ...

    def position(self) -> int: ...


class LiveRows(Protocol):
    """Brings users' online feature rows up to date some time after an append; must neither block nor raise."""

    def refresh(self, user_ids: Sequence[str]) -> None: ...


class ItemWriter(Protocol):
    """Changes the catalogue, durably and for every process of the workspace; `ItemChanges` is one."""

    def put(self, item_id: str, attributes: Mapping[str, object] | None, available: bool | None) -> None:
        """Stores an item; None leaves what is there."""
        ...

    def remove(self, item_id: str) -> None:
        """Takes an item out, and out of all recommendations."""
        ...


class Deleted(Protocol):
    """What a deletion did; `position` is the log's afterwards."""

    @property
    def events(self) -> int: ...

    @property
    def position(self) -> int: ...


DeleteUsers = Callable[[Sequence[str]], Deleted]
"""Deletes users everywhere: when it returns they are gone, to the byte. Raises a RecsysError when it could not."""


@dataclass(frozen=True, slots=True)
class ServedFeatures:
    """One version of the features, opened and ready to be read.

    Attributes:
        contexts: its online side.
        schema: the workspace's schema as this version means it.
        service: its feature service.
        catch_up: folds the log's next events into its online rows under a lease's token; says whether there are more.
        behind: how many places of the log its online rows have not taken in yet.
        embedded: reading them waits for no other process.
        follow_items: reads anew what it takes from the items' file, if that is another one.
    """

    contexts: OnlineContexts
    schema: WorkspaceSchema
    service: str
    catch_up: Callable[[int], bool] = lambda token: False
    behind: Callable[[], int] = lambda: 0
    embedded: bool = False
    follow_items: Callable[[], None] = lambda: None


@dataclass(frozen=True, slots=True)
class ServedModel:
    """One model version, loaded and ready to answer, with the features that it reads: both are swapped together.

    Attributes:
        ranker: what scores.
        version: its version in the registry.
        content_hash: SHA-256 of the model-defining files.
        vocabulary: the item ids that it can recommend.
        features: what it reads.
        metrics: what its training run measured.
        lineage: where it came from.
        degraded: a short reason when this is not certainly the registry's champion, None when it is.
        context_faults: what contexts held that had to be treated, since it was loaded.
        lease: says to others that it is in use, for as long as any request still holds this model.
    """

    ranker: Ranker
    version: str
    content_hash: str
    vocabulary: frozenset[str]
    features: ServedFeatures
    metrics: Mapping[str, object] = field(default_factory=dict)
    lineage: Mapping[str, object] = field(default_factory=dict)
    degraded: ModelReason | None = None
    context_faults: Callable[[], Mapping[str, int]] = dict
    lease: object = None


class ModelSource(Protocol):
    """Says which model answers now."""

    def current(self) -> ServedModel:
        """Raises: NoChampionError when there is none."""
        ...
