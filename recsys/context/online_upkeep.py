"""The online rows as a whole: who may write them, how far the log is folded into them, and what is taken out of them.

Single rows are written and read by `user_store` and `item_store`. Importing Feast takes seconds: import this module
late.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from feast import FeatureStore, FeatureView, RepoConfig

from recsys import columns
from recsys.context.feast_calls import release_registry
from recsys.context.fencing import writer_token
from recsys.context.live_store import LiveStore
from recsys.context.online_values import entity_key, live_store, moment_of
from recsys.context.store import FeatureStoreAdapter


class OnlineUpkeep:
    """One workspace's online rows: those of one version, or of all that the store holds.

    Every write names the token of the lease that is held and raises LeaseError when that is lost.

    Args:
        adapter: the workspace's feature store.
    """

    def __init__(self, adapter: FeatureStoreAdapter) -> None:
        self._adapter = adapter
        self._store: FeatureStore | None = None

    def raise_fence(self, token: int) -> None:
        """Shuts out earlier holders of the lease."""
        with self._writing("open the online rows for writing", token) as (live, config):
            live.raise_fence(config)

    def folded_up_to(self) -> int:
        """The log position up to which every event is in its user's row of this version."""
        with self._adapter.reported("read online rows"):
            live, config = self._live()
            return live.folded_up_to(config, self._adapter.version.version)

    def note_folded(self, position: int, token: int) -> None:
        """Keeps that every event up to this log position is in its user's row of this version."""
        with self._writing("write online rows", token) as (live, config):
            live.note_folded(config, self._adapter.version.version, position)

    def holds(self, user_ids: Sequence[str]) -> bool:
        """Whether there is a row, of any version, of any of these users."""
        views = self._views(lambda view: bool(view.online))
        with self._adapter.reported("read online rows"):
            live, config = self._live()
            found = live.online_read_views(config, views, [entity_key(columns.USER_ID, one) for one in user_ids])
        return any(moment is not None for rows in found for moment, _ in rows)

    def delete(self, user_ids: Sequence[str], item_ids: Sequence[str], token: int) -> None:
        """Removes rows of users and of items, of every version, to the last byte."""
        keys = [entity_key(columns.USER_ID, user_id) for user_id in user_ids]
        keys += [entity_key(columns.ITEM_ID, item_id) for item_id in item_ids]
        with self._writing("delete online rows", token) as (live, config):
            live.online_remove(config, keys)

    def delete_older(self, position: int, token: int) -> None:
        """Removes this version's rows that were folded at an earlier log position: nobody's who is still known."""
        self._delete_older(self._views(lambda view: view.name in self._adapter.views), position, token)

    def delete_older_of_every_version(self, position: int, token: int) -> None:
        """Removes all rows that were folded at an earlier log position, to the last byte; reads fold them again."""
        self._delete_older(self._views(lambda view: bool(view.online)), position, token)
        with self._writing("delete online rows", token) as (live, config):
            live.scrub(config)

    def _delete_older(self, views: Sequence[FeatureView], position: int, token: int) -> None:
        with self._writing("delete online rows", token) as (live, config):
            for view in views:
                live.delete_older(config, view, moment_of(position))

    def _views(self, wanted: Callable[[FeatureView], bool]) -> list[FeatureView]:
        store = self._connected()
        with self._adapter.reported("list the feature views"):
            views = [view for view in store.list_feature_views() if wanted(view)]
            release_registry(store)
        return views

    @contextmanager
    def _writing(self, what: str, token: int) -> Iterator[tuple[LiveStore, RepoConfig]]:
        with self._adapter.reported(what), writer_token(token):
            yield self._live()

    def _live(self) -> tuple[LiveStore, RepoConfig]:
        """The online store behind Feast, for what Feast has no call for."""
        store = self._connected()
        return live_store(store), store.config

    def _connected(self) -> FeatureStore:
        if self._store is None:
            self._store = self._adapter.connect()
        return self._store
