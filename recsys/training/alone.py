"""The body's loop in this process, without Ray: one worker, which sees all windows. What `workers = 1` would fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import distributed
from torch.distributed import HashStore  # type: ignore[attr-defined]

from recsys.context.sequences import Sequences
from recsys.errors import DataError, TrainingError
from recsys.experts.body import BodyExpert
from recsys.training.attributes import ItemAttributes
from recsys.training.config import TrainConfig
from recsys.training.distributed import BodyRun
from recsys.training.fitted_body import FittedBody
from recsys.training.loop import fit_body
from recsys.training.windows import as_tensors, body_windows
from recsys.training.world import World


def fit_body_alone(
    sequences: Sequences,
    attributes: ItemAttributes,
    config: TrainConfig,
    *,
    clock: bool,
    on_body: Callable[[int, BodyExpert], None] = lambda epoch, body: None,
) -> BodyRun:
    """Fits the neural body.

    Args:
        sequences: what to fit on.
        attributes: of every item of the vocabulary.
        config: everything that decides; its `workers` is not looked at.
        clock: whether event times are real.
        on_body: shown the body after each epoch, counted from 1; the fit does not depend on what it does.

    Raises:
        DataError: there is no window.
        TrainingError: the loss is not finite.
    """
    windows = body_windows(sequences, config.body.length)
    if windows.is_empty():
        raise DataError("No user has two events for the body to learn from. Import more events.")
    body = config.body.model_copy(update={"clock": clock, "baskets": sequences.baskets})
    losses: list[float] = []

    def show(epoch: int, fitted: FittedBody) -> None:
        with torch.random.fork_rng():
            on_body(epoch, BodyExpert.rebuild(body.model_dump(), fitted.tensors()))

    with _world_of_one() as world:
        fitted = fit_body(
            as_tensors(windows, body.length),
            total_events=int(windows["items"].list.len().sum()),
            attributes=attributes,
            body=body,
            config=config.body_training,
            world=world,
            seed=config.seed,
            on_epoch=lambda _, loss: losses.append(loss),
            on_body=show,
        )
    if fitted is None:
        raise TrainingError("The only worker gave no body.")
    return BodyRun(BodyExpert.rebuild(body.model_dump(), fitted.tensors()), tuple(losses))


@contextmanager
def _world_of_one() -> Iterator[World]:
    gpu = torch.cuda.is_available()
    world = World(0, 1, torch.device("cuda", torch.cuda.current_device()) if gpu else torch.device("cpu"))
    if distributed.is_initialized():
        if distributed.get_world_size() > 1:
            raise TrainingError("This process is one of several workers already.")
        yield world
        return
    distributed.init_process_group("nccl" if gpu else "gloo", store=HashStore(), rank=0, world_size=1)
    try:
        yield world
    finally:
        distributed.destroy_process_group()
