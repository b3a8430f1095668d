"""Puts the service together for one workspace: real stores, the registry's champion, warm before it is asked.

A model that reads another version of the features brings them along: both take their predecessors' place at once.
"""

from __future__ import annotations

import logging
import sqlite3
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import replace

import torch
from fastapi import FastAPI

from recsys.allocator import give_back
from recsys.context.batch import FeatureRow
from recsys.context.engine import EMBEDDED, Engine
from recsys.context.reader import FeastReader
from recsys.context.rows import feature_service_name
from recsys.data.schema import WorkspaceSchema
from recsys.errors import FeatureStoreError, RecsysError
from recsys.events.impressions import ImpressionLog
from recsys.events.lease import FoldLease
from recsys.events.log import EventLog
from recsys.events.removals import Removals
from recsys.events.shadow_scores import ShadowLog
from recsys.garbage import keep_what_is_there
from recsys.ranking.kept_heads import KeptHeads
from recsys.registry.champion import champion, opened_champion
from recsys.registry.chosen import chosen_version
from recsys.registry.client import registry
from recsys.registry.leases import Lease
from recsys.registry.loading import load_recommender
from recsys.registry.local import champion_file
from recsys.registry.snapshot import SCHEMA_FILE, Snapshot
from recsys.registry.versions import CHAMPION, LIVE_CHALLENGER, aliased
from recsys.serving.api import create_app
from recsys.serving.edge.protection import OPEN, Protection
from recsys.serving.experiment.experiment import ExperimentOptions, started
from recsys.serving.experiment.splitting import Split
from recsys.serving.folder.forgetting import Forgetting
from recsys.serving.folder.item_changes import ItemChanges
from recsys.serving.folder.live import LiveFolder
from recsys.serving.folder.live_items import LiveItems
from recsys.serving.messages.degraded import REGISTRY_UNREACHABLE
from recsys.serving.models.challenger import ChallengerSource
from recsys.serving.models.champion import ChampionSource
from recsys.serving.ports import Deleted, DeleteUsers, ServedFeatures, ServedModel
from recsys.workspace import Workspace

KEPT_BYTES = 48 * 1024 * 1024
"""Of what is kept of users between their requests: some 3,500 of them, with 200 events each."""
_SQLITE_BYTES = 32 * 1024 * 1024
GATHER_SECONDS = 1.0
_SWITCH_SECONDS = 0.0005
_NOBODY = "recsys-warm-up"
_PLAIN = ExperimentOptions()
_log = logging.getLogger(__name__)


def assemble(
    workspace: Workspace,
    delete_users: DeleteUsers | None = None,
    options: ExperimentOptions = _PLAIN,
    protection: Protection = OPEN,
) -> tuple[FastAPI, ChampionSource]:
    """Opens the workspace's stores, loads its champion and warms both up.

    A workspace without a champion is served all the same: requests get a 503 that says what to do, until there is one.

    Args:
        workspace: what is served.
        delete_users: forgets users of it; None: the service cannot.
        options: what is tried and recorded beside the champion's answers.
        protection: who may come in, and how many at a time.

    Returns:
        The application, and the source of its model.

    Raises:
        ConfigError: the workspace's schema cannot be read.
        DataError: its catalogue cannot be read.
        FeatureStoreError: its features were never materialised, the champion's version of them was dropped, or its
            registry cannot be reached.
    """
    torch.set_num_threads(1)
    sys.setswitchinterval(_SWITCH_SECONDS)  # a request that waits for the background's Python waits for that long
    _bound_sqlite()
    kept = KeptHeads(KEPT_BYTES)
    first = _opened(workspace, _served_schema(workspace))
    models: ChampionSource
    challengers: ChallengerSource

    def in_use() -> list[ServedFeatures]:
        """The champion's, and the challenger's where they are others."""
        champions = models.model.features if models.model else first
        return [champions, *([challengers.model.features] if challengers.model else [])]

    def moved() -> object:
        return _last_move(workspace)

    models = ChampionSource(lambda: _named(workspace), lambda: _loaded(workspace, in_use(), kept), stamp=moved)
    challengers = ChallengerSource(
        lambda: _named_challenger(workspace),
        lambda version: _loaded_challenger(workspace, version, in_use(), kept),
        stamp=moved,
    )
    models.refresh()
    live = LiveFolder(
        FoldLease(workspace.event_log), lambda token: _follow_log(in_use(), token), gather_seconds=GATHER_SECONDS
    )
    forgetting = Forgetting(Removals(workspace.event_log), kept)
    running: list[AbstractContextManager[object]] = [live, models, forgetting]
    if options.has_challenger:
        challengers.refresh()
        running.append(challengers)
    split = Split(models, lambda: challengers.model, options.split)
    experiment = started(options, split, ImpressionLog.of(workspace).append, ShadowLog(workspace.impressions).append)
    running += experiment.running
    keep_what_is_there()
    give_back()
    app = create_app(
        models=models,
        features=first,
        log=EventLog(workspace.event_log),
        live=live,
        items=LiveItems(workspace),
        item_writer=ItemChanges(workspace),
        delete_users=None if delete_users is None else _forgotten(delete_users, forgetting),
        running=running,
        experiment=experiment,
        protection=protection,
        kept=kept,
    )
    return app, models


def _bound_sqlite() -> None:
    """Bounds the pages that all connections of this process hold together; each alone may hold 64 MB, for imports."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(f"PRAGMA soft_heap_limit = {_SQLITE_BYTES}")


def _forgotten(delete_users: DeleteUsers, forgetting: Forgetting) -> DeleteUsers:
    """The deletion, which leaves nothing in this process's memory either, also where it could not be completed."""

    def deleting(user_ids: Sequence[str]) -> Deleted:
        try:
            return delete_users(user_ids)
        finally:
            forgetting.look()

    return deleting


def _follow_log(features: Sequence[ServedFeatures], token: int) -> bool:
    """Folds the log's next events into the online rows of each version once; whether there are more."""
    different = list({id(one): one for one in features}.values())
    return any([one.catch_up(token) for one in different])


def _served_schema(workspace: Workspace) -> WorkspaceSchema:
    """The champion's, whose version of the features goes on serving beside a newer one; else the workspace's own."""
    try:
        return WorkspaceSchema.load(champion(workspace).folder / SCHEMA_FILE)
    except RecsysError:
        return WorkspaceSchema.load(workspace.schema_file)


def _opened(workspace: Workspace, schema: WorkspaceSchema) -> ServedFeatures:
    """Opens one version of the features and asks it once, so that the first request does not wait for that."""
    engine = Engine.of(workspace)
    reader = FeastReader(workspace, schema, budget=engine.read_timeout_ms / 1_000)
    _warm_up(reader)
    return ServedFeatures(
        contexts=reader,
        schema=schema,
        service=feature_service_name(schema),
        catch_up=reader.catch_up,
        behind=reader.behind,
        embedded=engine.online_store == EMBEDDED,
    )


def _warm_up(reader: FeastReader) -> None:
    """A store that does not answer yet keeps nobody from starting: it is asked again with each request."""
    try:
        reader.online([_NOBODY])
    except FeatureStoreError as error:
        _log.warning("the online store does not answer, starting all the same: %s", error)


def _named(workspace: Workspace) -> str | None:
    with registry(workspace) as client:
        return aliased(client, workspace, CHAMPION)


def _last_move(workspace: Workspace) -> object:
    """Another value after each promotion or rollback; the file is replaced, never changed."""
    try:
        found = champion_file(workspace).stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def _lease(workspace: Workspace, version: str) -> Lease | None:
    """A service goes on without one where it may not write: all it loses is that a clean-up does not see it."""
    try:
        return Lease(workspace, version, "service")
    except OSError as error:
        _log.warning("recsys gc will not see that version %s is being served: %s", version, error)
        return None


def _named_challenger(workspace: Workspace) -> str | None:
    with registry(workspace) as client:
        return aliased(client, workspace, LIVE_CHALLENGER)


def _loaded(workspace: Workspace, in_use: Sequence[ServedFeatures], kept: KeptHeads) -> ServedModel:
    """The champion, or its last good local copy."""
    found, snapshot = opened_champion(workspace)
    if found.degraded is not None:
        _log.warning("%s", found.degraded)
    model = _ready(workspace, found.version, found.content_hash, snapshot, in_use, kept)
    return model if found.degraded is None else replace(model, degraded=REGISTRY_UNREACHABLE)


def _loaded_challenger(
    workspace: Workspace, version: str, in_use: Sequence[ServedFeatures], kept: KeptHeads
) -> ServedModel:
    snapshot = chosen_version(workspace, version).snapshot
    return _ready(workspace, version, snapshot.content_hash, snapshot, in_use, kept)


def _ready(
    workspace: Workspace,
    version: str,
    content_hash: str,
    snapshot: Snapshot,
    in_use: Sequence[ServedFeatures],
    kept: KeptHeads,
) -> ServedModel:
    """A version with the features that it reads: some of those in use, or others that are opened beside them."""
    lease = _lease(workspace, version)
    recommender = load_recommender(snapshot, version).keeping(kept, content_hash)
    recommender.recommend([FeatureRow(user_id=None)], k=1)
    fitting = next((features for features in in_use if features.schema == snapshot.schema), None)
    return ServedModel(
        ranker=recommender,
        version=version,
        content_hash=content_hash,
        vocabulary=frozenset(recommender.vocabulary),
        features=fitting or _opened(workspace, snapshot.schema),
        metrics=snapshot.metrics,
        lineage=snapshot.lineage,
        context_faults=recommender.context_faults,
        lease=lease,
    )
