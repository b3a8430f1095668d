"""The snapshot as an MLflow pyfunc model: user ids in, ranked items out. The feature store says who the users are."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from recsys import columns
from recsys.errors import ConfigError, RegistryError
from recsys.registry.client import place, registry
from recsys.registry.packaging import SNAPSHOT_ARTIFACT, TITLE, K
from recsys.registry.snapshot import load_snapshot
from recsys.registry.versions import version_of
from recsys.workspace import HOME_VARIABLE, Workspace

if TYPE_CHECKING:
    from recsys.context.reader import ContextReader
    from recsys.data.catalogue import Catalogue
    from recsys.ranking.recommender import Ranking, Recommender

DEFAULT_K = 10


class RecommenderModel(PythonModel):
    """What `mlflow.pyfunc.load_model("models:/recsys-<workspace>@champion")` gives.

    The workspace is the one it was trained in; `$RECSYS_HOME` says where workspaces lie now, in case they moved.
    """

    def load_context(self, context: PythonModelContext) -> None:
        """Verifies the snapshot, asks the registry which version it is, and opens the feature store.

        Raises:
            SnapshotError: a file of the snapshot is damaged.
            RegistryError: the workspace's registry does not know this snapshot.
        """
        from recsys.context.reader import FeastReader
        from recsys.data.catalogue import Catalogue
        from recsys.registry.loading import load_recommender

        workspace = _workspace(context.model_config)
        snapshot = load_snapshot(Path(context.artifacts[SNAPSHOT_ARTIFACT]))
        with registry(workspace) as client:
            version = version_of(client, workspace, snapshot.snapshot_hash)
        if version is None:
            raise RegistryError(
                f"{snapshot.folder} is not a version of {workspace.registered_model} in {place(workspace)}: "
                "only models that this registry vouches for are loaded."
            )
        self._recommender: Recommender = load_recommender(snapshot, version)
        self._reader: ContextReader = FeastReader(workspace, snapshot.schema)
        self._catalogue: Catalogue | None = Catalogue.load(workspace) if snapshot.schema.title else None

    def predict(
        self,
        context: PythonModelContext,
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,
    ) -> pd.DataFrame:
        """Ranks items for users; one the feature store does not know gets what a newcomer gets.

        Args:
            context: MLflow's; not used, everything was read when the model was loaded.
            model_input: user_id (string) and optionally k (how many items, 10 where the column is missing).
            params: not used.

        Returns:
            user_id, rank (from 1), item_id, title (null where items have none), score, model_version; users in the
            order they came.
        """
        user_ids = [str(user_id) for user_id in model_input[columns.USER_ID]]
        wanted = [int(k) for k in model_input[K]] if K in model_input else [DEFAULT_K] * len(user_ids)
        if any(k < 1 for k in wanted):
            raise ConfigError(f"k must be at least 1, not {min(wanted)}.")
        frames = [
            self._frame(user_id, ranking)
            for user_id, ranking in zip(user_ids, self._rankings(user_ids, wanted), strict=True)
        ]
        return pd.concat(frames, ignore_index=True) if frames else self._frame("", None)

    def _rankings(self, user_ids: Sequence[str], wanted: Sequence[int]) -> list[Ranking]:
        rows = self._reader.online(user_ids)
        rankings: dict[int, Ranking] = {}
        for k in sorted(set(wanted)):
            places = [place for place, asked in enumerate(wanted) if asked == k]
            found = self._recommender.recommend([rows[place] for place in places], k=k)
            rankings |= dict(zip(places, found, strict=True))
        return [rankings[place] for place in range(len(user_ids))]

    def _frame(self, user_id: str, ranking: Ranking | None) -> pd.DataFrame:
        item_ids = list(ranking.item_ids) if ranking else []
        titles = self._catalogue.titles(item_ids) if self._catalogue else [None] * len(item_ids)
        return pd.DataFrame(
            {
                columns.USER_ID: [user_id] * len(item_ids),
                columns.RANK: range(1, len(item_ids) + 1),
                columns.ITEM_ID: item_ids,
                TITLE: titles,
                columns.SCORE: list(ranking.scores) if ranking else [],
                columns.MODEL_VERSION: [self._recommender.version] * len(item_ids),
            }
        )


def _workspace(model_config: dict[str, Any]) -> Workspace:
    home = os.environ.get(HOME_VARIABLE) or model_config["home"]
    return Workspace(name=Workspace.named(str(model_config["workspace"])).name, home=Path(home).absolute())
