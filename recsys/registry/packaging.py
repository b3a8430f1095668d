"""Wraps a snapshot as an MLflow model made from code: the folder, a short file, a signature, an example; no pickle."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from recsys import columns
from recsys.errors import ConfigError
from recsys.registry.client import quieten
from recsys.shipped import shipped_folder
from recsys.workspace import Workspace

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

SNAPSHOT_ARTIFACT = "snapshot"
ARTIFACTS = "artifacts"  # MLflow's folder inside a model; the snapshot keeps its own folder name there
MODEL_NAME = "recommender"
K = "k"
TITLE = "title"

# recsys itself is not among them: it is on no public index, and a stranger's package of that name must never be
# installed in its place. Whoever loads the model has it.
_REQUIREMENTS = ("mlflow", "torch", "safetensors", "polars", "pandas", "feast")


def package_model(workspace: Workspace, snapshot: Path, into: Path, *, model_id: str, run_id: str) -> None:
    """Writes a folder that `mlflow.pyfunc.load_model` takes.

    Args:
        workspace: whose feature store the model reads users from.
        snapshot: the snapshot folder; it is copied to `artifacts/<its name>`.
        into: the new folder.
        model_id: MLflow's id of the logged model.
        run_id: the run it comes from.
    """
    quieten()
    import pandas as pd
    from mlflow.models import Model

    from mlflow import pyfunc

    pyfunc.save_model(
        path=str(into),
        mlflow_model=Model(model_id=model_id, model_uuid=model_id, run_id=run_id),
        python_model=str(model_file()),
        artifacts={SNAPSHOT_ARTIFACT: str(snapshot)},
        model_config={"workspace": workspace.name, "home": str(workspace.home)},
        signature=signature(),
        input_example=pd.DataFrame({columns.USER_ID: ["1", "2"], K: [10, 10]}),
        pip_requirements=[f"{name}=={version(name)}" for name in _REQUIREMENTS],
    )


def model_file() -> Path:
    """The models-from-code file that ships with recsys.

    Raises:
        ConfigError: the installation lacks it.
    """
    path = shipped_folder("mlflow") / "model.py"
    if not path.is_file():
        raise ConfigError(f"{path} is missing: install recsys again.")
    return path


def signature() -> ModelSignature:
    """What the packaged model takes (user_id, optionally k) and gives (one row a recommendation)."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema

    return ModelSignature(
        inputs=Schema([ColSpec(DataType.string, columns.USER_ID), ColSpec(DataType.long, K, required=False)]),
        outputs=Schema(
            [
                ColSpec(DataType.string, columns.USER_ID),
                ColSpec(DataType.long, columns.RANK),
                ColSpec(DataType.string, columns.ITEM_ID),
                ColSpec(DataType.string, TITLE, required=False),
                ColSpec(DataType.double, columns.SCORE),
                ColSpec(DataType.string, columns.MODEL_VERSION),
            ]
        ),
    )
