"""Puts the service together for one workspace: real stores, the registry's champion, warm before it is asked.

A model that reads another version of the features brings them along: both take their predecessors' place at once.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, closing

import torch
from fastapi import FastAPI

from recsys.allocator import give_back
from recsys.events.impressions import ImpressionLog
from recsys.events.lease import FoldLease
from recsys.events.log import EventLog
from recsys.events.removals import Removals
from recsys.events.shadow_scores import ShadowLog
from recsys.garbage import keep_what_is_there
from recsys.serving.api import create_app
from recsys.serving.edge.protection import OPEN, Protection
from recsys.serving.experiment.experiment import ExperimentOptions, prepared
from recsys.serving.experiment.splitting import Split
from recsys.serving.folder.forgetting import Forgetting
from recsys.serving.folder.item_changes import ItemChanges
from recsys.serving.folder.live import LiveFolder
from recsys.serving.folder.live_items import LiveItems
from recsys.serving.folder.memories import Memories
from recsys.serving.models.challenger import ChallengerSource
from recsys.serving.models.champion import ChampionSource
from recsys.serving.models.opening import Opening
from recsys.serving.ports import Deleted, DeleteUsers, ServedFeatures
from recsys.workspace import Workspace

_SQLITE_BYTES = 32 * 1024 * 1024
GATHER_SECONDS = 1.0
_SWITCH_SECONDS = 0.0005
_PLAIN = ExperimentOptions()


def assemble(
    workspace: Workspace,
    delete_users: DeleteUsers | None = None,
    options: ExperimentOptions = _PLAIN,
    protection: Protection = OPEN,
    stagger_seconds: float = 0.0,
) -> tuple[FastAPI, ChampionSource]:
    """Opens the workspace's stores, loads its champion and warms both up.

    A workspace without a champion is served all the same: requests get a 503 that says what to do, until there is one.

    Args:
        workspace: what is served.
        delete_users: forgets users of it; None: the service cannot.
        options: what is tried and recorded beside the champion's answers.
        protection: who may come in, and how many at a time.
        stagger_seconds: how long it may wait before it loads a new model, where several processes serve.

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
    memories = Memories()
    opening = Opening(workspace, memories)
    first = opening.first_features()
    models: ChampionSource
    challengers: ChallengerSource

    def in_use() -> list[ServedFeatures]:
        """The champion's, and the challenger's where they are others."""
        champions = models.model.features if models.model else first
        return [champions, *([challengers.model.features] if challengers.model else [])]

    models = ChampionSource(
        opening.champions_name,
        lambda: opening.champion(in_use()),
        stamp=opening.last_move,
        stagger_seconds=stagger_seconds,
    )
    challengers = ChallengerSource(
        opening.challengers_name,
        lambda version: opening.challenger(version, in_use()),
        stamp=opening.last_move,
        stagger_seconds=stagger_seconds,
    )
    models.refresh()
    live = LiveFolder(
        FoldLease(workspace.event_log), lambda token: _follow_log(in_use(), token), gather_seconds=GATHER_SECONDS
    )
    forgetting = Forgetting(Removals(workspace.event_log), memories)
    running: list[AbstractContextManager[object]] = [live, models, forgetting]
    if options.has_challenger:
        challengers.refresh()
        running.append(challengers)
    split = Split(models, lambda: challengers.model, options.split)
    experiment = prepared(options, split, ImpressionLog.of(workspace).append, ShadowLog(workspace.impressions).append)
    running += experiment.running
    keep_what_is_there()
    give_back()
    app = create_app(
        models=models,
        features=first,
        log=EventLog(workspace.event_log),
        live=live,
        items=LiveItems(workspace, lambda: _follow_items(in_use())),
        item_writer=ItemChanges(workspace),
        delete_users=None if delete_users is None else _forgotten(delete_users, forgetting),
        running=running,
        experiment=experiment,
        protection=protection,
        kept=memories.heads,
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


def _follow_items(features: Sequence[ServedFeatures]) -> None:
    """Has each version read the categories of items."""
    for one in features:
        one.follow_items()


def _follow_log(features: Sequence[ServedFeatures], token: int) -> bool:
    """Folds the log's next events into the online rows of each version once; whether there are more."""
    different = list({id(one): one for one in features}.values())
    return any([one.catch_up(token) for one in different])
