"""The job that plans a training run for a number of seconds, before `recsys.jobs.train` makes it."""

from __future__ import annotations

import time

from recsys.evaluation.workspace_protocol import training_sequences_of
from recsys.training.config import TrainConfig
from recsys.training.dataset import Dataset
from recsys.training.memory_estimate import refuse_what_does_not_fit
from recsys.training.progress import Progress, Silent
from recsys.training.time_plan import TimePlan, plan_within
from recsys.workspace import Workspace


def plan_training(
    workspace: Workspace, config: TrainConfig, budget: float, *, progress: Progress | None = None
) -> TimePlan:
    """Measures what closed-form experts and an epoch of the body take here, and plans the epochs.

    Args:
        workspace: an existing workspace with events.
        config: everything that decides; its epochs are the most there will be.
        budget: seconds for all, this plan included.
        progress: told that it measures.

    Raises:
        ConfigError: the configuration cannot fit into this machine's memory.
        DataError: too few events.
        TrainingError: a ridge is too small, or a worker failed.
    """
    started = time.monotonic()
    stage = (progress or Silent()).stage("measuring for the budget", 1)
    dataset = Dataset.load(workspace)
    refuse_what_does_not_fit(config, dataset.sizes)
    plan = plan_within(
        training_sequences_of(dataset),
        dataset.attributes,
        config,
        clock=dataset.schema.clock,
        repeats=dataset.schema.repeats,
        seconds=budget - 2 * (time.monotonic() - started),  # training reads the workspace again
    )
    stage.advance(f"{plan.epochs} of {plan.configured_epochs} epochs")
    return plan
