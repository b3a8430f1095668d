"""Many trials on Ray Tune: Optuna chooses their settings, ASHA stops those whose body is worse than others' were."""

from __future__ import annotations

import logging
import os
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

from recsys.cluster import ray_cluster
from recsys.errors import ConfigError
from recsys.training.config import TrainConfig
from recsys.training.dataset import Dataset
from recsys.training.machine_memory import available_memory
from recsys.training.memory_estimate import largest_moment
from recsys.training.system_sizes import DataSizes
from recsys.tuning.outcomes import Outcome
from recsys.tuning.sampling import decoded, distributions, encoded
from recsys.tuning.space import SearchSpace
from recsys.tuning.trial import JUDGED_BY, Judgement, fit_and_judge
from recsys.workspace import Workspace

_KEPT_SHARE = 3
"""One in so many goes on past each rung."""
_RUNGS_BEGIN = 8
"""No trial is stopped before this part of its epochs."""
_QUIET = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
}


@dataclass(frozen=True, slots=True)
class Task:
    """What all trials of a search share.

    Attributes:
        workspace: whose data.
        log_position: the log up to here.
        base: the configuration that they change.
        space: what they change of it.
    """

    workspace: Workspace
    log_position: int
    base: TrainConfig
    space: SearchSpace


def search(
    task: Task,
    *,
    trials: int,
    seconds: float | None,
    dataset: Dataset,
    on_outcome: Callable[[Outcome], None] = lambda outcome: None,
) -> list[Outcome]:
    """Runs trials side by side until there were enough, the time is over or somebody presses Ctrl-C.

    The first trial is the base configuration itself where it lies in the space. A failed trial ends alone.

    Args:
        task: what they share.
        trials: how many.
        seconds: how long, from now; None: as long as it takes. Trials that run then are cut off.
        dataset: the task's data; says how many trials fit into memory.
        on_outcome: told each trial that ended by itself.

    Returns:
        Every trial that began, in the order in which they were chosen.
    """
    with tempfile.TemporaryDirectory(prefix="recsys-tune-") as scratch, ray_cluster():
        _quieten()
        from ray import tune
        from ray.tune.schedulers import ASHAScheduler
        from ray.tune.search.optuna import OptunaSearch

        from recsys.tuning.listening import EPOCH, Listener

        epochs = task.space.largest("body_training.epochs", task.base.body_training.epochs)
        first = task.space.point_of(task.base)
        listener = Listener(task.space, on_outcome)
        tuner = tune.Tuner(
            tune.with_resources(tune.with_parameters(_run_trial, task=task), _resources()),
            tune_config=tune.TuneConfig(
                metric=JUDGED_BY,
                mode="max",
                num_samples=trials,
                time_budget_s=seconds,
                max_concurrent_trials=_at_once(task, dataset),
                search_alg=OptunaSearch(
                    space=distributions(task.space),
                    metric=JUDGED_BY,
                    mode="max",
                    seed=task.base.seed,
                    points_to_evaluate=None if first is None else [encoded(first, task.space)],
                ),
                scheduler=ASHAScheduler(
                    time_attr=EPOCH,
                    # Beyond the last epoch: there the heads are still to come.
                    max_t=epochs + 1,
                    grace_period=ceil(epochs / _RUNGS_BEGIN),
                    reduction_factor=_KEPT_SHARE,
                ),
            ),
            run_config=tune.RunConfig(
                name="search", storage_path=str(Path(scratch).absolute()), verbose=0, callbacks=[listener]
            ),
        )
        with _interrupts_as_before():
            tuner.fit()
        return listener.outcomes


def _run_trial(config: Mapping[str, Any], task: Task) -> None:
    """What a trial's process runs."""
    import torch
    from ray import tune

    from recsys.allocator import keep_large_blocks
    from recsys.tuning.listening import EPOCH, FIGURES

    torch.set_num_threads(1)
    keep_large_blocks()
    chosen = task.space.applied(task.base, decoded(config, task.space))

    def tell(judgement: Judgement) -> None:
        # The whole model is reported without an epoch: ASHA compares bodies with bodies.
        epoch = {} if judgement.epoch is None else {EPOCH: judgement.epoch}
        tune.report({JUDGED_BY: judgement.figures[JUDGED_BY], FIGURES: dict(judgement.figures), **epoch})

    fit_and_judge(Dataset.load(task.workspace, task.log_position), chosen, tell)


def _at_once(task: Task, dataset: Dataset) -> int:
    """As many as there are processors, and no more than fit into memory side by side."""
    import ray

    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    room = available_memory() // max(most_memory(task.space, task.base, dataset.sizes), 1)
    name, count = next(iter(_resources().items()))
    return max(1, min(int(resources.get(name.upper(), 1) // count), room))


def most_memory(space: SearchSpace, base: TrainConfig, sizes: DataSizes) -> int:
    """Bytes that a trial takes at most: of the base, each setting in turn at what takes the most beside the others.

    Args:
        space: what may change.
        base: what it is changed in.
        sizes: of the data.
    """
    largest = base
    for name, dimension in space.dimensions.items():
        for value in dimension.samples:
            with suppress(ConfigError):  # values that do not go together are no trial
                other = space.applied(largest, {name: value})
                largest = max(largest, other, key=lambda config: largest_moment(config, sizes).total)
    return largest_moment(largest, sizes).total


def _resources() -> dict[str, float]:
    """Of one trial."""
    import torch

    return {"gpu": 1.0, "cpu": 1.0} if torch.cuda.is_available() else {"cpu": 1.0}


@contextmanager
def _interrupts_as_before() -> Iterator[None]:
    """Tune ends a search on Ctrl-C and keeps what it knows, but leaves its handlers behind."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGUSR1)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _quieten() -> None:
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    for name in ("ray.tune", "ray"):
        logging.getLogger(name).setLevel(os.environ.get("RECSYS_RAY_LOG_LEVEL", "CRITICAL"))
