"""All that changes while the body is fitted, as tensors and JSON values, and how far it has come. Writes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

_ENCODER, _ADAMW, _CPU, _CUDA, _ORDER = "encoder.", "adamw.", "random.cpu", "random.cuda", "order"


@dataclass(slots=True)
class Place:
    """How far a fit has come.

    Attributes:
        order: state of the source of the windows' order as the epoch under way began.
        epoch: the one under way, from 1; one more than there are when all are done.
        step: steps of it that are done.
        loss: sum over the predicted events of these, nats, this worker's.
        events: how many these are.
        losses: mean loss of each epoch that is done, nats, worker 0's.
    """

    order: Tensor
    epoch: int = 1
    step: int = 0
    loss: float = 0.0
    events: int = 0
    losses: tuple[float, ...] = ()

    def next_epoch(self, order: Tensor) -> Place:
        """The beginning of the next epoch, once this one is done."""
        return Place(order, self.epoch + 1, losses=(*self.losses, self.loss / max(self.events, 1)))


@dataclass(frozen=True, slots=True)
class FitState:
    """What a fit changes at each step, tables aside: those are spread over workers (`table_rows`).

    Attributes:
        sharded: what `sharding.shard` returns.
        optimizer: of the dense parameters.
        schedule: of its steps.
        order: source of the windows' order.
        device: where this worker computes.
    """

    sharded: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    order: torch.Generator
    device: torch.device

    @property
    def dense(self) -> dict[str, nn.Parameter]:
        """The encoder's parameters by name, the same on every worker."""
        found = self.sharded.named_parameters()
        return {name.split(_ENCODER, 1)[1]: own for name, own in found if "tables." not in name}

    def dense_tensors(self) -> dict[str, Tensor]:
        """Parameters and the optimiser's moments, the same on every worker."""
        tensors = {_ENCODER + name: parameter.detach() for name, parameter in self.dense.items()}
        for index, moments in self.optimizer.state_dict()["state"].items():
            tensors |= {f"{_ADAMW}{index}.{name}": moment for name, moment in moments.items()}
        return tensors

    def settings(self) -> dict[str, Any]:
        """Step sizes and the schedule's place, as JSON values."""
        return {"groups": self.optimizer.state_dict()["param_groups"], "schedule": self.schedule.state_dict()}

    @torch.no_grad()
    def take_dense(self, tensors: Mapping[str, Tensor], settings: Mapping[str, Any]) -> None:
        """The inverse of `dense_tensors` and `settings`."""
        for name, parameter in self.dense.items():
            parameter.copy_(tensors[_ENCODER + name])
        moments: dict[int, dict[str, Tensor]] = {}
        for key, tensor in tensors.items():
            if key.startswith(_ADAMW):
                index, name = key.removeprefix(_ADAMW).split(".", 1)
                moments.setdefault(int(index), {})[name] = tensor
        self.optimizer.load_state_dict({"state": moments, "param_groups": settings["groups"]})
        self.schedule.load_state_dict(settings["schedule"])

    def random_tensors(self, place: Place) -> dict[str, Tensor]:
        """This worker's sources of randomness; the order's as its epoch began."""
        found = {_CPU: torch.get_rng_state(), _ORDER: place.order}
        return found | ({_CUDA: torch.cuda.get_rng_state(self.device)} if self.device.type == "cuda" else {})

    def take_random(self, tensors: Mapping[str, Tensor]) -> None:
        """The inverse of `random_tensors`."""
        self.order.set_state(tensors[_ORDER])
        torch.set_rng_state(tensors[_CPU])
        if self.device.type == "cuda" and _CUDA in tensors:
            torch.cuda.set_rng_state(tensors[_CUDA], self.device)
