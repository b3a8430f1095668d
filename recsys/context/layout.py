"""Where a workspace's feature store keeps its files, and Feast's configuration of it. Pure paths and text, no Feast."""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path

from recsys.context.engine import EMBEDDED, Engine
from recsys.errors import ConfigError
from recsys.workspace import Workspace

WORKSPACE_VARIABLE = "RECSYS_WORKSPACE"
OFFLINE_STORE = "recsys.context.offline_store.PrunedDuckDBOfflineStore"
CONNECT_SECONDS = 5
STATEMENT_SECONDS = 30
"""How long PostgreSQL may take to let us in, and to answer once it has."""


def configuration_file(workspace: Workspace) -> Path:
    """Feast's feature_store.yaml of this workspace."""
    return workspace.feature_store / "feature_store.yaml"


def offline_rows(workspace: Workspace) -> Path:
    """The folder of parquet parts with the offline rows."""
    return workspace.feature_store / "offline" / "user_rows"


def offline_item_rows(workspace: Workspace) -> Path:
    """The folder of parquet parts with the items' offline rows."""
    return workspace.feature_store / "offline" / "item_rows"


def online_database(workspace: Workspace) -> Path:
    """The online rows, one sqlite file."""
    return workspace.feature_store / "online.db"


def registry_database(workspace: Workspace) -> Path:
    """Feast's registry, one sqlite file."""
    return workspace.feature_store / "registry.db"


def state_file(workspace: Workspace) -> Path:
    """What the last materialisation wrote, and from what."""
    return workspace.feature_store / "materialised.json"


def project(workspace: Workspace, engine: Engine) -> str:
    """Feast's name of the workspace: it allows no hyphens.

    On services that others use too it carries a hash of the folder: a copy of the workspace never touches its origin.
    """
    name = workspace.name.replace("-", "_")
    if engine.embedded:
        return name
    return f"{name}_{hashlib.sha256(str(workspace.root.resolve()).encode()).hexdigest()[:8]}"


def configuration(workspace: Workspace, engine: Engine) -> str:
    """The text of feature_store.yaml: every path absolute, secrets only as the names of variables.

    `cache_ttl_seconds: 0` keeps the registry's content for the life of a process: a process serves one schema.
    """
    return f"""\
# Written by `recsys features materialise`. Rows go in through recsys only: do not run `feast materialize` on this
# store, it knows neither the order of live rows nor the event log.
project: {project(workspace, engine)}
provider: local
registry:
  registry_type: sql
{_registry(workspace, engine)}
  cache_ttl_seconds: 0
  serve_features_while_materializing: true
offline_store:
  type: {OFFLINE_STORE}
online_store:
{_online_store(workspace, engine)}
entity_key_serialization_version: 3
"""


def is_configured_here(workspace: Workspace, engine: Engine) -> bool:
    """Whether feature_store.yaml is this workspace's on this engine. After a copy it is another one's.

    One that names Feast's own DuckDB store will do: it gives the same rows, and is written anew with the next
    materialisation.
    """
    text = configuration_file(workspace).read_text(encoding="utf-8")
    return text.replace("\n  type: duckdb\n", f"\n  type: {OFFLINE_STORE}\n") == configuration(workspace, engine)


def former_online_server(workspace: Workspace, engine: Engine) -> str | None:
    """The Redis server, by its former setting, that held the workspace's rows before that changed; else None."""
    if not configuration_file(workspace).is_file():
        return None
    text = configuration_file(workspace).read_text(encoding="utf-8")
    url = re.search(r'^  url: (".*")$', text, re.MULTILINE)
    if url is None or f"project: {project(workspace, Engine(online_store='redis'))}\n" not in text:
        return None
    server = str(json.loads(url.group(1)))
    return None if server == engine.online_store else server


def workspace_of_environment() -> Workspace:
    """The workspace that $RECSYS_WORKSPACE names, for Feast's command line, which can pass nothing else.

    Raises:
        ConfigError: the variable is not set, or there is no such workspace.
    """
    name = os.environ.get(WORKSPACE_VARIABLE)
    if not name:
        raise ConfigError(f"Set ${WORKSPACE_VARIABLE} to the workspace whose features these are.")
    return Workspace.existing(name)


def _registry(workspace: Workspace, engine: Engine) -> str:
    if engine.registry == EMBEDDED:
        return f"  path: {json.dumps(f'sqlite:///{registry_database(workspace)}')}"
    return (
        f"  path: {json.dumps(engine.registry)}\n"
        "  sqlalchemy_config_kwargs:\n"
        "    pool_pre_ping: true\n"
        "    connect_args:\n"
        f"      connect_timeout: {CONNECT_SECONDS}\n"
        f"      tcp_user_timeout: {STATEMENT_SECONDS * 1_000}\n"
        f"      options: -c statement_timeout={STATEMENT_SECONDS}s"
    )


def _online_store(workspace: Workspace, engine: Engine) -> str:
    if engine.online_store == EMBEDDED:
        return (
            "  type: recsys.context.online_store.WalSqliteOnlineStore\n"
            f"  path: {json.dumps(str(online_database(workspace)))}"
        )
    return (
        "  type: recsys.context.redis_store.VersionedRedisOnlineStore\n"
        f"  url: {json.dumps(engine.online_store)}\n"
        f"  read_timeout_ms: {engine.read_timeout_ms}"
    )
