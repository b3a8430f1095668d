"""A verified snapshot → a Recommender. The last step of every load path."""

from __future__ import annotations

from recsys.context.batch import FeatureRow
from recsys.context.encoder import ContextEncoder
from recsys.context.profile import ProfileEncoding
from recsys.context.rows import feature_schema
from recsys.errors import SnapshotError
from recsys.model.calibration import Calibration
from recsys.model.personal import ModelConfig, build_model
from recsys.ranking.large import LargeCatalogue, index_of
from recsys.ranking.recommender import Recommender
from recsys.ranking.retrieval import RetrievalConfig
from recsys.registry.feature_lock import refuse_other_features
from recsys.registry.snapshot import Snapshot

MODEL_SECTION = "model"
TRAINING_SECTION = "training"


def load_recommender(snapshot: Snapshot, version: str) -> Recommender:
    """Builds the Recommender that a snapshot holds, if this library still makes the features that its model reads.

    Args:
        snapshot: verified and read.
        version: what to call it in replies.

    Raises:
        SnapshotError: its parts do not fit together, or it reads other features than this library makes.
    """
    refuse_other_features(snapshot, feature_schema(snapshot.schema), "this recsys makes", "Train again: recsys train")
    try:
        config = ModelConfig.model_validate(snapshot.config[MODEL_SECTION])
        training = snapshot.config[TRAINING_SECTION]
        assert isinstance(training, dict)
        encoder = ContextEncoder(
            snapshot.vocabulary, ProfileEncoding.from_dict(snapshot.profile), int(training["history_length"])
        )
        calibration = Calibration.from_dict(snapshot.calibration)
        retrieval = RetrievalConfig.model_validate(training.get("retrieval", {}))
    except (KeyError, TypeError, ValueError, AssertionError) as error:
        raise SnapshotError(
            f"The snapshot {snapshot.folder} was written by another version of this library ({error}). Train again."
        ) from error
    model = build_model(config, snapshot.tensors)
    if model.network.n_items != len(encoder.vocabulary):
        raise SnapshotError(
            f"The snapshot {snapshot.folder} scores {model.network.n_items} items and names {len(encoder.vocabulary)}. "
            "Train again."
        )
    nobody = encoder.encode([FeatureRow(user_id=None)])
    told = model.statistics(nobody, model.network.outputs(nobody)).shape[1]
    if told != config.n_statistics:
        raise SnapshotError(
            f"The snapshot {snapshot.folder} was written by another version of this library: its heads read "
            f"{config.n_statistics} statistics of a context and this version gives {told}. Train again."
        )
    large = LargeCatalogue.of(model, retrieval, index_of(snapshot.tensors))
    return Recommender(model, encoder, snapshot.schema, calibration, version, large=large)
