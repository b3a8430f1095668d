"""Makes a version ready to answer: its snapshot, the features that it reads, both asked once."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

from recsys.allocator import give_back
from recsys.context.batch import FeatureRow
from recsys.context.engine import EMBEDDED, Engine
from recsys.context.reader import FeastReader
from recsys.context.rows import feature_service_name
from recsys.data.schema import WorkspaceSchema
from recsys.errors import DataError, FeatureStoreError, RecsysError
from recsys.registry.champion import champion, opened_champion
from recsys.registry.chosen import chosen_version
from recsys.registry.client import registry
from recsys.registry.leases import Lease
from recsys.registry.loading import load_recommender
from recsys.registry.local import champion_file
from recsys.registry.snapshot import SCHEMA_FILE, Snapshot
from recsys.registry.versions import CHAMPION, LIVE_CHALLENGER, aliased
from recsys.serving.folder.memories import Memories
from recsys.serving.messages.degraded import REGISTRY_UNREACHABLE
from recsys.serving.ports import ServedFeatures, ServedModel
from recsys.workspace import Workspace

_NOBODY = "recsys-warm-up"
_log = logging.getLogger(__name__)


class Opening:
    """Opens versions of one workspace's models and features.

    Args:
        workspace: what is served.
        memories: what is kept of users between requests.
    """

    def __init__(self, workspace: Workspace, memories: Memories) -> None:
        self._workspace = workspace
        self._memories = memories

    def first_features(self) -> ServedFeatures:
        """The champion's, whose version of the features goes on serving beside a newer one; else the workspace's own.

        Raises:
            ConfigError: the workspace's schema cannot be read.
            FeatureStoreError: there are no such features, or they cannot be reached.
        """
        try:
            schema = WorkspaceSchema.load(champion(self._workspace).folder / SCHEMA_FILE)
        except RecsysError:
            schema = WorkspaceSchema.load(self._workspace.schema_file)
        return self._features(schema)

    def last_move(self) -> object:
        """Another value after each promotion or rollback; the file is replaced, never changed."""
        try:
            found = champion_file(self._workspace).stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns

    def champions_name(self) -> str | None:
        """The version that the registry calls champion."""
        return self._named(CHAMPION)

    def challengers_name(self) -> str | None:
        """The version that meets users beside the champion."""
        return self._named(LIVE_CHALLENGER)

    def champion(self, in_use: Sequence[ServedFeatures]) -> ServedModel:
        """The champion, or its last good local copy, ready to answer.

        Args:
            in_use: features that are open; others are opened beside them where the version reads others.
        """
        found, snapshot = opened_champion(self._workspace)
        if found.degraded is not None:
            _log.warning("%s", found.degraded)
        model = self._ready(found.version, found.content_hash, snapshot, in_use)
        return model if found.degraded is None else replace(model, degraded=REGISTRY_UNREACHABLE)

    def challenger(self, version: str, in_use: Sequence[ServedFeatures]) -> ServedModel:
        """Any version, ready to answer."""
        snapshot = chosen_version(self._workspace, version).snapshot
        return self._ready(version, snapshot.content_hash, snapshot, in_use)

    def _ready(
        self, version: str, content_hash: str, snapshot: Snapshot, in_use: Sequence[ServedFeatures]
    ) -> ServedModel:
        lease = self._lease(version)
        recommender = load_recommender(snapshot, version).keeping(self._memories.heads, content_hash)
        recommender.recommend([FeatureRow(user_id=None)], k=1)
        fitting = next((features for features in in_use if features.schema == snapshot.schema), None)
        give_back()  # what versions before this one left behind, and what checking this one took
        return ServedModel(
            ranker=recommender,
            version=version,
            content_hash=content_hash,
            vocabulary=frozenset(recommender.vocabulary),
            features=fitting or self._features(snapshot.schema),
            metrics=snapshot.metrics,
            lineage=snapshot.lineage,
            context_faults=recommender.context_faults,
            lease=lease,
        )

    def _features(self, schema: WorkspaceSchema) -> ServedFeatures:
        """Opens one version of the features and asks it once, so that the first request does not wait for that."""
        engine = Engine.of(self._workspace)
        reader = FeastReader(self._workspace, schema, engine.read_timeout_ms / 1_000, self._memories.rows)
        _warm_up(reader)
        return ServedFeatures(
            contexts=reader,
            schema=schema,
            service=feature_service_name(schema),
            catch_up=reader.catch_up,
            behind=reader.behind,
            embedded=engine.online_store == EMBEDDED,
            follow_items=reader.follow_items,
        )

    def _named(self, alias: str) -> str | None:
        with registry(self._workspace) as client:
            return aliased(client, self._workspace, alias)

    def _lease(self, version: str) -> Lease | None:
        """A service goes on without one where it may not write: all it loses is that a clean-up does not see it."""
        try:
            return Lease(self._workspace, version, "service")
        except OSError as error:
            _log.warning("recsys gc will not see that version %s is being served: %s", version, error)
            return None


def _warm_up(reader: FeastReader) -> None:
    """What does not answer yet keeps nobody from starting: it is asked again with each request that needs it."""
    try:
        reader.online([_NOBODY])
    except FeatureStoreError as error:
        _log.warning("the online store does not answer, starting all the same: %s", error)
    try:
        reader.follow_items()
    except DataError as error:
        _log.warning("the categories of items cannot be read, starting all the same: %s", error)
