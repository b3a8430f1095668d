"""Puts the service together for one workspace: real stores, the registry's champion, warm before it is asked."""

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
from recsys.errors import FeatureStoreError, SnapshotError
from recsys.events.log import EventLog
from recsys.registry.champion import champion
from recsys.registry.client import registry
from recsys.registry.loading import load_recommender
from recsys.registry.snapshot import Snapshot, load_snapshot
from recsys.registry.versions import CHAMPION, aliased
from recsys.serving.api import create_app
from recsys.serving.champion import ChampionSource
from recsys.serving.live import BackgroundRefresh
from recsys.serving.ports import ServedModel
from recsys.workspace import Workspace

_NOBODY = "recsys-warm-up"
_log = logging.getLogger(__name__)


def assemble(workspace: Workspace) -> tuple[FastAPI, ChampionSource]:
    """Opens the workspace's stores, loads its champion and warms both up.

    A workspace without a champion is served all the same: requests get a 503 that says what to do, until there is one.

    Returns:
        The application, and the source of its model.

    Raises:
        ConfigError: the workspace's schema cannot be read.
        FeatureStoreError: its features were never materialised, or its registry cannot be reached.
    """
    torch.set_num_threads(1)
    schema = WorkspaceSchema.load(workspace.schema_file)
    reader = FeastReader(workspace, schema, budget=Engine.of(workspace).read_timeout_ms / 1_000)
    _warm_up(reader)
    models = ChampionSource(lambda: _named(workspace), lambda: _loaded(workspace, schema))
    models.refresh()
    live = BackgroundRefresh(reader.refresh)
    app = create_app(
        models=models,
        contexts=reader,
        log=EventLog(workspace.event_log),
        live=live,
        schema=schema,
        feature_service=feature_service_name(schema),
        running=(live, models),
    )
    return app, models


def _warm_up(reader: FeastReader) -> None:
    """A store that does not answer yet keeps nobody from starting: it is asked again with each request."""
    try:
        reader.online([_NOBODY])
    except FeatureStoreError as error:
        _log.warning("the online store does not answer, starting all the same: %s", error)


def _named(workspace: Workspace) -> str | None:
    with registry(workspace) as client:
        return aliased(client, workspace, CHAMPION)


def _loaded(workspace: Workspace, schema: WorkspaceSchema) -> ServedModel:
    found = champion(workspace)
    snapshot = load_snapshot(found.folder, snapshot_hash=found.snapshot_hash)
    _check_features(snapshot, schema, found.version)
    recommender = load_recommender(snapshot, found.version)
    recommender.recommend([FeatureRow(user_id=None)], k=1)
    if found.degraded is not None:
        _log.warning("%s", found.degraded)
    return ServedModel(
        ranker=recommender,
        version=found.version,
        content_hash=found.content_hash,
        vocabulary=frozenset(recommender.vocabulary),
        titles=_titles(workspace, schema),
        metrics=snapshot.metrics,
        lineage=snapshot.lineage,
        degraded=None if found.degraded is None else "registry_unreachable",
        context_faults=recommender.context_faults,
    )


def _check_features(snapshot: Snapshot, schema: WorkspaceSchema, version: str) -> None:
    if snapshot.schema.feature_hash() != schema.feature_hash():
        raise SnapshotError(
            f"Model version {version} was trained on features of another schema than workspace '{schema.name}' has "
            f"now. Train again: recsys train --workspace {schema.name}"
        )


def _titles(workspace: Workspace, schema: WorkspaceSchema) -> dict[str, str]:
    if schema.title is None:
        return {}
    items = Catalogue.load(workspace).items.drop_nulls(schema.title)
    return dict(zip(items[columns.ITEM_ID].to_list(), items[schema.title].to_list(), strict=True))
