"""Opens a workspace for a person at a prompt: champion, feature rows and titles behind one call.

It walks the line that serving walks and writes nothing; what is done with the answers is the caller's business.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import ValidationError

from recsys.context.batch import FeatureRow
from recsys.context.reader import FeastReader
from recsys.data.availability import unavailable_items
from recsys.data.catalogue import Catalogue
from recsys.data.schema import WorkspaceSchema
from recsys.errors import ConfigError
from recsys.ranking.recommender import Recommender
from recsys.registry.champion import Champion, opened_champion
from recsys.registry.loading import load_recommender
from recsys.registry.snapshot import Snapshot
from recsys.serving.contexts import resolve
from recsys.serving.http.problems import InvalidRequestError
from recsys.serving.messages.requests import InlineContext, InlineEvent
from recsys.workspace import Workspace


@dataclass(frozen=True, slots=True, eq=False)
class OpenedWorkspace:
    """A workspace with its champion loaded.

    Attributes:
        workspace: where everything lies.
        champion: the champion's version and hashes; `degraded` says when the registry could not be asked.
        snapshot: what it was loaded from: configuration, validation metrics, lineage.
        recommender: contexts to rankings, heads and explanations.
        reader: users to contexts, as of now or of a past moment.
        catalogue: users, items and titles.
    """

    workspace: Workspace
    champion: Champion
    snapshot: Snapshot
    recommender: Recommender
    reader: FeastReader
    catalogue: Catalogue

    @property
    def schema(self) -> WorkspaceSchema:
        """What the data mean, as of training."""
        return self.snapshot.schema

    def context(
        self,
        user_id: str | None = None,
        *,
        history: Sequence[str] = (),
        profile: Mapping[str, object] | None = None,
    ) -> FeatureRow:
        """The feature row that the service would build for this request. Nothing is stored.

        Args:
            user_id: a user whose stored row is the start; None for a visitor of whom nothing is stored.
            history: item ids to add as positive events of just now, oldest first.
            profile: profile columns to set.

        Returns:
            The row; its `degraded` says why the answer would be what suits everybody, None when it is personal.

        Raises:
            ConfigError: the history is too long, or a profile column is unknown or of the wrong type.
        """
        try:
            inline = InlineContext.model_validate(
                {"history": [InlineEvent(item_id=item_id) for item_id in history], "profile": dict(profile or {})}
            )
            return resolve(user_id, inline, self.reader, self.schema, time.time_ns() // 1000).row
        except ValidationError as error:
            problems = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
            raise ConfigError(f"This context cannot be used: {problems}.") from error
        except InvalidRequestError as error:
            raise ConfigError(f"This context cannot be used: {error}") from error

    def available(self) -> np.ndarray:
        """(n_items,) bool, what may be recommended now; for `recommender.recommend(..., allowed=opened.available())`.

        Raises:
            DataError: the list of unavailable items is damaged.
        """
        flags: np.ndarray = ~self.recommender.flags(sorted(unavailable_items(self.workspace)))
        return flags

    def titles(self, item_ids: Sequence[str]) -> list[str]:
        """What to call these items, in the order asked; an item without a title is called by its id."""
        return self.catalogue.titles(item_ids)


def open_champion(workspace: str) -> OpenedWorkspace:
    """Opens a workspace and loads its champion; takes seconds, most of them Feast's.

    Args:
        workspace: the workspace's name.

    Raises:
        ConfigError: there is no such workspace, or nothing was trained or promoted in it yet.
        FeatureStoreError: its features were never materialised.
        SnapshotError: the champion's snapshot is damaged.
    """
    return opened(Workspace.existing(workspace))


def opened(workspace: Workspace) -> OpenedWorkspace:
    """The same for a workspace that is at hand, wherever its home is; same errors."""
    found, snapshot = opened_champion(workspace)
    return OpenedWorkspace(
        workspace=workspace,
        champion=found,
        snapshot=snapshot,
        recommender=load_recommender(snapshot, found.version),
        reader=FeastReader(workspace, snapshot.schema),
        catalogue=Catalogue.load(workspace),
    )
