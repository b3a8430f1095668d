"""Puts the service together for one workspace: real stores, the registry's champion, warm before it is asked.

A champion that reads another version of the features brings them along: both take their predecessors' place at once.
"""

from __future__ import annotations

import logging

import torch
from fastapi import FastAPI

from recsys import columns
from recsys.context.batch import FeatureRow
from recsys.context.engine import Engine
from recsys.context.reader import FeastReader
from recsys.context.rows import feature_service_name
from recsys.data.catalogue import Catalogue
from recsys.data.schema import WorkspaceSchema
from recsys.errors import FeatureStoreError, RecsysError
from recsys.events.lease import FoldLease
from recsys.events.log import EventLog
from recsys.registry.champion import champion, opened_champion
from recsys.registry.client import registry
from recsys.registry.leases import Lease
from recsys.registry.loading import load_recommender
from recsys.registry.local import champion_file
from recsys.registry.snapshot import SCHEMA_FILE
from recsys.registry.versions import CHAMPION, aliased
from recsys.serving.api import create_app
from recsys.serving.champion import ChampionSource
from recsys.serving.degraded import REGISTRY_UNREACHABLE
from recsys.serving.live import LiveFolder
from recsys.serving.ports import NoChampionError, ServedFeatures, ServedModel
from recsys.serving.protection import OPEN, Protection
from recsys.workspace import Workspace

_NOBODY = "recsys-warm-up"
_log = logging.getLogger(__name__)


def assemble(workspace: Workspace, protection: Protection = OPEN) -> tuple[FastAPI, ChampionSource]:
    """Opens the workspace's stores, loads its champion and warms both up.

    A workspace without a champion is served all the same: requests get a 503 that says what to do, until there is one.

    Args:
        workspace: what to serve.
        protection: who may come in, and how many at a time.

    Returns:
        The application, and the source of its model.

    Raises:
        ConfigError: the workspace's schema cannot be read.
        FeatureStoreError: its features were never materialised, the champion's version of them was dropped, or its
            registry cannot be reached.
    """
    torch.set_num_threads(1)
    first = _opened(workspace, _served_schema(workspace))
    models: ChampionSource

    def in_use() -> ServedFeatures:
        try:
            return models.current().features
        except NoChampionError:
            return first

    models = ChampionSource(
        lambda: _named(workspace), lambda: _loaded(workspace, in_use()), stamp=lambda: _last_move(workspace)
    )
    models.refresh()
    live = LiveFolder(FoldLease(workspace.event_log), lambda token: in_use().catch_up(token))
    app = create_app(
        models=models,
        features=first,
        log=EventLog(workspace.event_log),
        live=live,
        running=(live, models),
        protection=protection,
    )
    return app, models


def _served_schema(workspace: Workspace) -> WorkspaceSchema:
    """The champion's, whose version of the features goes on serving beside a newer one; else the workspace's own."""
    try:
        return WorkspaceSchema.load(champion(workspace).folder / SCHEMA_FILE)
    except RecsysError:
        return WorkspaceSchema.load(workspace.schema_file)


def _opened(workspace: Workspace, schema: WorkspaceSchema) -> ServedFeatures:
    """Opens one version of the features and asks it once, so that the first request does not wait for that."""
    reader = FeastReader(workspace, schema, budget=Engine.of(workspace).read_timeout_ms / 1_000)
    _warm_up(reader)
    return ServedFeatures(reader, schema, feature_service_name(schema), reader.catch_up, reader.behind)


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


def _loaded(workspace: Workspace, in_use: ServedFeatures) -> ServedModel:
    """The champion with the features that it reads: those in use, or others that are opened beside them."""
    found, snapshot = opened_champion(workspace)
    lease = _lease(workspace, found.version)
    recommender = load_recommender(snapshot, found.version)
    recommender.recommend([FeatureRow(user_id=None)], k=1)
    if found.degraded is not None:
        _log.warning("%s", found.degraded)
    return ServedModel(
        ranker=recommender,
        version=found.version,
        content_hash=found.content_hash,
        vocabulary=frozenset(recommender.vocabulary),
        features=in_use if snapshot.schema == in_use.schema else _opened(workspace, snapshot.schema),
        titles=_titles(workspace),
        metrics=snapshot.metrics,
        lineage=snapshot.lineage,
        degraded=None if found.degraded is None else REGISTRY_UNREACHABLE,
        context_faults=recommender.context_faults,
        lease=lease,
    )


def _titles(workspace: Workspace) -> dict[str, str]:
    schema = WorkspaceSchema.load(workspace.schema_file)
    if schema.title is None:
        return {}
    items = Catalogue.load(workspace).items.drop_nulls(schema.title)
    return dict(zip(items[columns.ITEM_ID].to_list(), items[schema.title].to_list(), strict=True))
