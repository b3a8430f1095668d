"""Where the offline rows of one version of the features lie. Pure paths."""

from __future__ import annotations

from pathlib import Path

from recsys.context.feature_schema import FeatureSchema
from recsys.context.layout import offline_item_rows, offline_rows, state_file
from recsys.workspace import Workspace


def user_row_folder(workspace: Workspace, version: FeatureSchema) -> Path:
    """The folder of parquet parts with users' offline rows of that version."""
    return offline_rows(workspace) / version.version


def item_row_folder(workspace: Workspace, version: FeatureSchema) -> Path:
    """The folder of parquet parts with items' offline rows of that version."""
    return offline_item_rows(workspace) / version.version


def materialisation_file(workspace: Workspace, version: FeatureSchema) -> Path:
    """What the last materialisation of that version wrote, and from what."""
    file = state_file(workspace)
    return file.with_name(f"{file.stem}-{version.version}{file.suffix}")
