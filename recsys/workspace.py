"""A workspace: one data set with its own schema, event log, feature store, snapshots and registered model.

This module knows where things lie and nothing of what is in them.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from recsys.errors import ConfigError

HOME_VARIABLE = "RECSYS_HOME"
DEFAULT_HOME = "workspaces"
TRACKING = "mlflow"
RESERVED = "sqlite"
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


def home() -> Path:
    """The folder that holds all workspaces and the MLflow store: `$RECSYS_HOME`, else ./workspaces (absolute)."""
    return Path(os.environ.get(HOME_VARIABLE) or DEFAULT_HOME).absolute()


@dataclass(frozen=True, slots=True)
class Workspace:
    """Paths of one workspace. Every path is absolute.

    Attributes:
        name: lower-case letters, digits and inner hyphens, at most 63 characters.
        home: the folder that holds all workspaces.
    """

    name: str
    home: Path

    @classmethod
    def named(cls, name: str) -> Workspace:
        """The workspace of that name, whether it exists or not.

        Raises:
            ConfigError: the name cannot be a workspace's.
        """
        if not _NAME.fullmatch(name):
            raise ConfigError(
                f"'{name}' cannot name a workspace: use lower-case letters, digits and inner hyphens, "
                "63 characters at most, for example 'movielens-100k'."
            )
        if name == TRACKING:
            raise ConfigError(f"'{name}' cannot name a workspace: that folder holds the models of all of them.")
        if name == RESERVED or name.startswith(f"{RESERVED}-"):
            raise ConfigError(f"'{name}' cannot name a workspace: sqlite keeps tables of such names to itself.")
        return cls(name=name, home=home())

    @classmethod
    def existing(cls, name: str) -> Workspace:
        """The workspace of that name.

        Raises:
            ConfigError: there is none; the message lists those that exist.
        """
        workspace = cls.named(name)
        if not workspace.schema_file.is_file():
            known = ", ".join(w.name for w in workspaces()) or "none yet"
            raise ConfigError(
                f"There is no workspace '{name}' in {workspace.home} (there: {known}). "
                f"Make it with: recsys data import DIR --workspace {name}"
            )
        return workspace

    @property
    def root(self) -> Path:
        return self.home / self.name

    @property
    def schema_file(self) -> Path:
        return self.root / "workspace.toml"

    @property
    def users_file(self) -> Path:
        return self.root / "catalogue" / "users.parquet"

    @property
    def items_file(self) -> Path:
        return self.root / "catalogue" / "items.parquet"

    @property
    def unavailable_file(self) -> Path:
        return self.root / "catalogue" / "unavailable.json"

    @property
    def event_log(self) -> Path:
        return self.root / "events" / "log.sqlite"

    @property
    def impressions(self) -> Path:
        return self.root / "impressions" / "shown.sqlite"

    @property
    def feature_store(self) -> Path:
        return self.root / "feature_store"

    @property
    def snapshots(self) -> Path:
        return self.root / "snapshots"

    @property
    def counts(self) -> Path:
        """What `recsys refresh` counted of the log; made again when it is missing."""
        return self.root / "counts"

    @property
    def training(self) -> Path:
        """What training runs keep until they have registered a version, one folder a run."""
        return self.root / "training"

    @property
    def recommendations(self) -> Path:
        return self.root / "recommendations"

    @property
    def reports(self) -> Path:
        return self.root / "reports"

    @property
    def keys_file(self) -> Path:
        """The service's API keys, hashed; nobody else's to read, and left out of backups."""
        return self.root / "keys.json"

    @property
    def tracking_database(self) -> Path:
        """MLflow's sqlite file; one for all workspaces, so that one UI shows them side by side."""
        return self.home / TRACKING / "mlflow.db"

    @property
    def tracking_artifacts(self) -> Path:
        return self.home / TRACKING / "artifacts"

    @property
    def artifacts(self) -> Path:
        """What MLflow keeps of this workspace's runs."""
        return self.tracking_artifacts / self.name

    @property
    def registered_model(self) -> str:
        return f"recsys-{self.name}"


def workspaces() -> list[Workspace]:
    """The workspaces that exist, by name."""
    root = home()
    found = sorted(path.parent.name for path in root.glob("[!.]*/workspace.toml"))
    return [Workspace(name=name, home=root) for name in found]
