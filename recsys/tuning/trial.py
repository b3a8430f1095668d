"""One trial: a whole model by one configuration, in this process alone, judged on validation users as it grows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from recsys.evaluation.expert_alone import array_targets, figures_of
from recsys.evaluation.workspace_protocol import training_sequences_of
from recsys.experts.body import BodyExpert
from recsys.training.alone import fit_body_alone
from recsys.training.config import TrainConfig
from recsys.training.dataset import Dataset
from recsys.training.fit import fit_on
from recsys.training.memory_estimate import refuse_what_does_not_fit
from recsys.training.progress import Silent
from recsys.training.stages import begin, stages_on

JUDGED_BY = "ndcg@10"
JUDGED_USERS = 2_000


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a trial is worth so far.

    Attributes:
        epoch: of the body, which alone was judged; None: the whole model was.
        figures: means over the validation users, `ndcg@10` among them.
    """

    epoch: int | None
    figures: Mapping[str, float]


def fit_and_judge(dataset: Dataset, config: TrainConfig, tell: Callable[[Judgement], None]) -> None:
    """Fits what `recsys train` fits, on training events; nothing is registered.

    Args:
        dataset: the workspace's data.
        config: everything that decides.
        tell: told the body's figures after each of its epochs, then those of the whole model. May raise to stop.

    Raises:
        ConfigError: the configuration does not fit into memory, or needs what the data do not have.
        DataError: too few users, items or events.
        TrainingError: a loss or score is not finite, or a ridge is too small.
    """
    refuse_what_does_not_fit(config, dataset.sizes)
    sequences = training_sequences_of(dataset)
    targets = array_targets(dataset, at_most=JUDGED_USERS)
    profile = dataset.encoded_profiles(dataset.profile_encoding())
    kinds = {"clock": dataset.schema.clock, "repeats": dataset.schema.repeats}

    def judge_body(epoch: int, body: BodyExpert) -> None:
        tell(Judgement(epoch, figures_of(body.score, targets, history_length=config.history_length)))

    begun = begin(sequences, dataset.attributes, config, **kinds, has_profile=profile.shape[1] > 0)
    body = fit_body_alone(begun.fit_on, dataset.attributes, config, clock=dataset.schema.clock, on_body=judge_body)
    stages = stages_on(body, begun, sequences, profile, dataset.attributes, config, **kinds, progress=Silent())
    model = fit_on(stages, sequences, config, clock=dataset.schema.clock, progress=Silent()).model
    figures = figures_of(
        lambda context: model.forward(context).scores, targets, history_length=config.history_length, profile=profile
    )
    tell(Judgement(None, figures))
