"""One context's head with all that is needed to score a list of items elsewhere, as plain arrays.

    strength_e = gains_e * exp(-log_temperature)
    gains:  score_i = sum over all experts of strength_e * expert_scores[i, e]
    others: score_i = strength_0 * <bent, vectors_i> + sum over experts but the body of strength_e * expert_scores[i, e]
            film    bent = state * (1 + film)
            lowrank bent = state * (1 + film) + basis_u @ core @ basis_v.T @ state
            full    bent = state * (1 + film) + offset

The body is expert 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from recsys.context.batch import ContextBatch
from recsys.model.head import HeadWeights
from recsys.model.kinds import HeadKind
from recsys.model.partial import Heard, PartialScoring
from recsys.model.personal import Generated, PersonalModel
from recsys.model.scoring import ExpertOutputs, ScoringNetwork


@dataclass(frozen=True, slots=True)
class PortableHead:
    """What one context's scores are made of.

    Attributes:
        kind: the head's kind.
        experts: the experts' names, in the order of the gains.
        tensors: float32 by name. Always gains (experts,), log_temperature () and expert_scores (items, experts). Kinds
            that bend the state: film (width,), state (width,) and vectors (items, width), which the bent state is
            multiplied with. lowrank: core (rank, rank), basis_u and basis_v (width, rank). full: offset (width,).
    """

    kind: HeadKind
    experts: tuple[str, ...]
    tensors: Mapping[str, Tensor]


@torch.no_grad()
def portable_head(model: PersonalModel, context: ContextBatch, columns: Tensor) -> PortableHead:
    """Takes a context's head out of the model.

    Args:
        model: the fitted model.
        context: a batch of one.
        columns: (items,) int64 index - 1 of the items to be scored.
    """
    scored = model.forward(context)
    opinions = scored.outputs.scores[:, :, columns]
    return _portable(model, scored.generated, opinions, lambda: _vectors(model.network, scored.outputs)[columns])


@torch.no_grad()
def portable_part(partial: PartialScoring, heard: Heard, generated: Generated, columns: Tensor) -> PortableHead:
    """The same of a large catalogue, of which none but the given items are scored.

    Args:
        partial: the fitted model.
        heard: the context.
        generated: its state and head.
        columns: (items,) int64 index - 1 of the items to be scored.
    """
    opinions = partial.opinions(heard, generated.states, columns)
    return _portable(partial.model, generated, opinions, lambda: partial.vectors(heard, columns))


def _portable(
    model: PersonalModel, generated: Generated, opinions: Tensor, vectors: Callable[[], Tensor]
) -> PortableHead:
    """From (1, experts, items) what the experts say; (items, width) vectors are asked for where the head needs them."""
    head, network = generated.head, model.network
    found = {**_head(head), "expert_scores": opinions[0].T}
    if head.film is not None:
        found |= {"state": generated.states[0], "vectors": vectors()}
    if head.core is not None:
        found |= {"basis_u": network.bases[0], "basis_v": network.bases[1]}
    tensors = {name: tensor.contiguous() for name, tensor in found.items()}
    return PortableHead(model.config.head.kind, network.names, tensors)


def _head(head: HeadWeights) -> dict[str, Tensor]:
    parts = {
        "gains": head.gains,
        "log_temperature": head.log_temperature,
        "film": head.film,
        "core": head.core,
        "offset": head.offset,
    }
    return {name: part[0] for name, part in parts.items() if part is not None}


def _vectors(network: ScoringNetwork, outputs: ExpertOutputs) -> Tensor:
    """(n_items, width): the item vectors on the network's scale.

    Where the body speaks of new items only, theirs are relative to their mean and the others' are zero.
    """
    vectors = network.body.items[1:] / network.scales[0]
    new = network.new_items(outputs)
    if new is None:
        return vectors
    weights = new[0][:, None]
    return (vectors - (vectors * weights).sum(0) / weights.sum().clamp(min=1)) * weights
