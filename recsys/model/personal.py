"""The whole model on one straight line: context → experts → hypernetwork → head → scores.

It is rebuilt from plain tensors and a config, so that a snapshot needs no pickle.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from recsys.context.batch import ContextBatch
from recsys.errors import SnapshotError
from recsys.experts.body import BodyConfig, BodyExpert
from recsys.experts.kinds import rebuilt
from recsys.model.head import HeadConfig, HeadWeights
from recsys.model.hypernetwork import Hypernetwork
from recsys.model.scoring import BODY, POPULARITY, ExpertOutputs, ScoringNetwork
from recsys.model.statistics import context_statistics


class ExpertSpec(BaseModel):
    """All that is needed, beside its tensors, to rebuild one expert."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    kind: str
    settings: dict[str, Any]


class ModelConfig(BaseModel):
    """All that is needed, beside the tensors, to rebuild a fitted model."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    clock: bool
    """Whether event times are real and may be an input."""
    body: BodyConfig
    head: HeadConfig
    experts: tuple[ExpertSpec, ...]
    """All but the body, in the order of the head's gains."""
    n_statistics: int
    discovery: tuple[str, ...] = ()
    """Experts that speak only of items new to the user."""


@dataclass(frozen=True, slots=True)
class Generated:
    """What contexts become before any item is scored.

    Attributes:
        states: (batch, width) the body's state.
        head: the generated heads.
    """

    states: Tensor
    head: HeadWeights

    def tensors(self) -> tuple[Tensor, ...]:
        """All of them."""
        return (self.states, *self.head.tensors())


@dataclass(frozen=True, slots=True)
class Scored:
    """What one forward pass gives.

    Attributes:
        outputs: the experts' opinions.
        head: the generated heads.
        scores: (batch, n_items) logits.
    """

    outputs: ExpertOutputs
    head: HeadWeights
    scores: Tensor

    @property
    def generated(self) -> Generated:
        """What the scores were made from, beside the items."""
        return Generated(self.outputs.states, self.head)


class PersonalModel:
    """Experts, hypernetwork and the shared head it starts from.

    Args:
        config: shape of the parts.
        network: the scoring network.
        hypernetwork: fitted generator.
        shared: the best shared blend, a batch of one; the control that every report shows.
    """

    def __init__(
        self, config: ModelConfig, network: ScoringNetwork, hypernetwork: Hypernetwork, shared: HeadWeights
    ) -> None:
        self.config = config
        self.network = network
        self.hypernetwork = hypernetwork.eval()
        self.shared = shared

    @torch.no_grad()
    def forward(self, context: ContextBatch) -> Scored:
        """Scores every item for every context."""
        outputs = self.network.outputs(context)
        inputs = self.hypernetwork.inputs(self.statistics(context, outputs), outputs.states)
        head = self.hypernetwork(inputs, context.any_known)
        return Scored(outputs, head, self.network.score(outputs, head))

    def in_blocks(self, room: int | None = None) -> PersonalModel:
        """The same model for many contexts at once, see `ScoringNetwork.in_blocks`."""
        return PersonalModel(self.config, self.network.in_blocks(room), self.hypernetwork, self.shared)

    @torch.no_grad()
    def again(self, generated: Generated, others: Tensor) -> Tensor:
        """The scores that `forward` gives, from what was computed for the same contexts before; no item is looked up.

        Args:
            generated: states and heads.
            others: (batch, experts - 1, n_items) what the experts beside the body say (`ScoringNetwork.others_say`).
        """
        return self.network.score_again(generated.states, others, generated.head)

    @torch.no_grad()
    def shares(self, context: ContextBatch, columns: Tensor) -> Tensor:
        """(batch, experts, columns) what each expert adds to the scores that `forward` gives some items."""
        scored = self.forward(context)
        return self.network.shares(scored.outputs, scored.head, columns)

    @torch.no_grad()
    def shared_scores(self, outputs: ExpertOutputs) -> Tensor:
        """(batch, n_items) logits under the best shared blend of the same experts."""
        return self.network.score(outputs, self.shared)

    def statistics(self, context: ContextBatch, outputs: ExpertOutputs) -> Tensor:
        """(batch, n_statistics) what the hypernetwork reads beside the state."""
        return context_statistics(context, outputs, self.network, clock=self.config.clock)

    def tensors(self) -> dict[str, Tensor]:
        """Everything fitted, by name, contiguous."""
        found = {f"{BODY}.{name}": tensor for name, tensor in self.network.body.tensors().items()}
        for expert_name, expert in self.network.others.items():
            found |= {f"{expert_name}.{name}": tensor for name, tensor in expert.tensors().items()}
        found |= {f"hypernetwork.{name}": tensor for name, tensor in self.hypernetwork.state_dict().items()}
        found |= {"scales": self.network.scales, "bases": self.network.bases, "shared": self.shared.flat()[0]}
        return {name: tensor.detach().contiguous() for name, tensor in found.items()}


def build_model(config: ModelConfig, tensors: Mapping[str, Tensor]) -> PersonalModel:
    """Rebuilds a fitted model from its config and tensors.

    Raises:
        SnapshotError: a tensor is missing or of the wrong shape, or holds NaN or infinity.
    """
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise SnapshotError(f"The snapshot's tensor '{name}' holds NaN or infinity. Train again.")
    try:
        _check_shapes(config, tensors)
        return _build(config, tensors)
    except (KeyError, RuntimeError, ValueError, IndexError) as error:
        raise SnapshotError(f"The snapshot's tensors do not fit its config: {error}. Train again.") from error


def expert_specs(network: ScoringNetwork) -> tuple[ExpertSpec, ...]:
    """What a model's config says of the network's experts."""
    return tuple(
        ExpertSpec(name=name, kind=expert.kind, settings=dict(expert.settings()))
        for name, expert in network.others.items()
    )


def _check_shapes(config: ModelConfig, tensors: Mapping[str, Tensor]) -> None:
    n_items, width = len(tensors[f"{POPULARITY}.log_counts"]), config.body.width
    n_experts = 1 + len(config.experts)
    expected = {
        f"{BODY}.items": (n_items + 1, width),
        "scales": (n_experts,),
        "bases": (2, width, config.head.rank),
        "shared": (n_experts + 1,),
    }
    for name, shape in expected.items():
        if tensors[name].shape != shape:
            raise SnapshotError(
                f"The snapshot's tensor '{name}' has shape {tuple(tensors[name].shape)} and its config {shape}. "
                "Train again."
            )


def _build(config: ModelConfig, tensors: Mapping[str, Tensor]) -> PersonalModel:
    body = BodyExpert.rebuild(config.body.model_dump(), _below(tensors, f"{BODY}."))
    others = {spec.name: rebuilt(spec.kind, spec.settings, _below(tensors, f"{spec.name}.")) for spec in config.experts}
    network = ScoringNetwork(
        body,
        others,
        tensors["scales"],
        tensors["bases"],
        config.discovery,
        config.head.reads,
        config.head.panel_size(len(body.items) - 1),
    )
    network.check()
    n_experts = len(network.names)
    hypernetwork = Hypernetwork(config.head, config.n_statistics, n_experts, config.body.width)
    hypernetwork.load_state_dict(_below(tensors, "hypernetwork."))
    shared = tensors["shared"][None]
    return PersonalModel(config, network, hypernetwork, HeadWeights(shared[:, :n_experts], shared[:, n_experts]))


def _below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
