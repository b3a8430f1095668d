"""What the heads are worth: the same experts' scores under heads that were made for somebody else, or for nobody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace

import numpy as np
import torch
from torch import Tensor

from recsys.context.batch import ContextBatch, FeatureRow
from recsys.evaluation.full_ranking import random_blocks
from recsys.metrics.personalisation import derangement
from recsys.model.head import HeadWeights
from recsys.model.personal import PersonalModel, Scored
from recsys.ranking.recommender import Recommender

CONTROL_PREFIX = "control: "
OTHERS_HEAD = f"{CONTROL_PREFIX}another user's head"
MEAN_HEAD = f"{CONTROL_PREFIX}head of the mean context"
_SAMPLE = 512


class HeadControls:
    """Scores of a block under other heads, each user's experts staying their own.

    Args:
        model: the fitted model.
        mean_inputs: (n_inputs,) what the generator reads of a context, averaged over users.
    """

    def __init__(self, model: PersonalModel, mean_inputs: Tensor) -> None:
        self._model = model
        self._mean_inputs = mean_inputs

    @classmethod
    def of(cls, recommender: Recommender, rows: Sequence[FeatureRow]) -> HeadControls:
        """With the mean context of about 512 of these users, drawn at random."""
        total, users = torch.zeros(()), 0
        for block in random_blocks(len(rows), len(recommender.vocabulary)):
            inputs = generator_inputs(recommender.model, recommender.encoder.encode([rows[user] for user in block]))
            total, users = total + inputs.sum(0), users + len(inputs)
            if users >= _SAMPLE:
                break
        return cls(recommender.model, total / users)

    @torch.no_grad()
    def __call__(self, context: ContextBatch, scored: Scored) -> Mapping[str, Tensor]:
        """Scores by control. Heads go round within the block, always in the same way."""
        swapped = select_heads(scored.head, derangement(len(context), np.random.default_rng(0)))
        mean = self._model.hypernetwork(self._mean_inputs.expand(len(context), -1))
        return {
            OTHERS_HEAD: self._model.network.score(scored.outputs, swapped),
            MEAN_HEAD: self._model.network.score(scored.outputs, mean),
        }


def generator_inputs(model: PersonalModel, context: ContextBatch) -> Tensor:
    """(batch, n_inputs) what the generator reads of contexts."""
    outputs = model.network.outputs(context)
    return model.hypernetwork.inputs(model.statistics(context, outputs), outputs.states)


def select_heads(heads: HeadWeights, rows: np.ndarray) -> HeadWeights:
    """These heads of a batch, in that order."""
    chosen = torch.from_numpy(rows)
    parts = {field.name: getattr(heads, field.name) for field in fields(heads)}
    return replace(heads, **{name: part[chosen] for name, part in parts.items() if part is not None})


def head_number_names(heads: HeadWeights, experts: Sequence[str]) -> list[str]:
    """What each number of `HeadWeights.flat()` is: `gain: <expert>`, `log temperature`, `film 0`, `film 1`, …."""
    names: list[str] = []
    for field in fields(heads):
        part = getattr(heads, field.name)
        if part is None:
            continue
        size = part[:1].numel() if len(part) else 0
        if field.name == "gains":
            names += [f"gain: {expert}" for expert in experts]
        else:
            kind = field.name.replace("_", " ")
            names += [kind] if part.ndim == 1 else [f"{kind} {i}" for i in range(size)]
    return names
