"""Where a workspace's feature store keeps its files, and Feast's configuration of it. Pure paths and text, no Feast."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from recsys.errors import ConfigError
from recsys.workspace import Workspace

WORKSPACE_VARIABLE = "RECSYS_WORKSPACE"


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


def project(workspace: Workspace) -> str:
    """Feast's name of the workspace: it allows no hyphens."""
    return workspace.name.replace("-", "_")


def configuration(workspace: Workspace) -> str:
    """The text of feature_store.yaml: everything embedded, every path absolute.

    `cache_ttl_seconds: 0` keeps the registry's content for the life of a process: a process serves one schema.
    """
    return f"""\
# Written by `recsys features materialise`. Rows go in through recsys only: do not run `feast materialize` on this
# store, it knows neither the order of live rows nor the event log.
project: {project(workspace)}
provider: local
registry:
  registry_type: sql
  path: {json.dumps(f"sqlite:///{registry_database(workspace)}")}
  cache_ttl_seconds: 0
offline_store:
  type: duckdb
online_store:
  type: recsys.context.online_store.WalSqliteOnlineStore
  path: {json.dumps(str(online_database(workspace)))}
entity_key_serialization_version: 3
"""


def is_configured_here(workspace: Workspace) -> bool:
    """Whether feature_store.yaml points into this workspace. After a copy it points to where it was copied from."""
    paths = re.findall(r'^  path: (".*")$', configuration_file(workspace).read_text(encoding="utf-8"), re.MULTILINE)
    found = {Path(json.loads(path).removeprefix("sqlite:///")).resolve() for path in paths}
    return found == {registry_database(workspace).resolve(), online_database(workspace).resolve()}


def workspace_of_environment() -> Workspace:
    """The workspace that $RECSYS_WORKSPACE names, for Feast's command line, which can pass nothing else.

    Raises:
        ConfigError: the variable is not set, or there is no such workspace.
    """
    name = os.environ.get(WORKSPACE_VARIABLE)
    if not name:
        raise ConfigError(f"Set ${WORKSPACE_VARIABLE} to the workspace whose features these are.")
    return Workspace.existing(name)
