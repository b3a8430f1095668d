"""Stage three: the hypernetwork, which starts from the best shared blend and trains on the same held-out targets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from recsys.model.head import HeadConfig, HeadWeights
from recsys.model.hypernetwork import Hypernetwork
from recsys.model.losses import RankingLoss
from recsys.model.scoring import ScoringNetwork
from recsys.training.selected_fit import Schedule, fit_selected
from recsys.training.targets import Prepared


class GeneratorConfig(BaseModel):
    """How heads are trained on frozen experts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    hold_out: Literal["users", "last"] = "users"
    """What no expert is fitted on while the generator is trained, since its targets are of it: a share of the users,
    or everybody's last events (last baskets, with baskets). Of the latter heads learn from all users, and from experts
    that know their users as well as those that will serve them."""
    held_out_users: float = Field(default=0.1, gt=0, lt=0.9)
    """The share, of `users`."""
    held_out_events: int = Field(default=1, ge=1)
    """How many last events or baskets, of `last`; of nobody more than half."""
    beginners: float = Field(default=0.0, ge=0, lt=0.5)
    """Beside `last`: of this share of the users the first events are kept from the experts and are targets too, so that
    heads learn what newcomers do next."""
    beginner_events: int = Field(default=20, ge=1)
    """How many events after the very first are those targets."""
    targets_per_user: int = Field(default=50, ge=1)
    """At most so many last events of each of those users become targets."""
    targets_per_basket: int | None = Field(default=None, ge=1)
    """At most so many items of a basket, drawn at random, become targets; None: all."""
    max_targets: int = Field(default=20_000, ge=100)
    """At most so many targets, drawn at random; fewer where their scores would not fit `target_gigabytes`."""
    target_gigabytes: float = Field(default=2.0, gt=0)
    """Room for the targets' expert scores."""
    blend_targets: int = Field(default=3_000, ge=100)
    """At most so many of them, with complete histories, fit the shared blend."""
    ndcg_weight: float = Field(default=10.0, ge=0)
    """Weight of the soft NDCG beside the log-loss, for the shared blend and the heads alike."""
    ndcg_sharpness: float = Field(default=0.1, gt=0)
    """Logits apart at which two items count as ordered."""
    dropped_share: float = Field(default=0.3, ge=0, lt=1)
    """History dropout: this share of the targets shows only a few newest events."""
    keeps: tuple[Annotated[int, Field(ge=0)], ...] = Field(default=(1, 3, 5, 10), min_length=1)
    """How many newest events those targets show, one of these drawn for each, so that heads work for new users."""
    epochs: int = Field(default=40, ge=1)
    """Most passes; training stops early when the selection users' loss no longer falls."""
    patience: int = Field(default=5, ge=1)
    """Epochs without a better loss before it stops."""
    batch_size: int = Field(default=128, ge=1)
    """Targets a step."""
    learning_rate: float = Field(default=3e-4, gt=0)
    """Step of AdamW."""
    delta_penalty: float = Field(default=0.01, ge=0)
    """Weight of the mean squared distance from the shared head."""
    selection_share: float = Field(default=0.15, gt=0, lt=0.5)
    """Share of users whose targets choose the epoch, and train nothing."""

    def schedule(self) -> Schedule:
        """What the fit of every head, and of every control of heads, goes by."""
        return Schedule(self.epochs, self.patience, self.batch_size, self.learning_rate, self.delta_penalty)


def fit_generator(
    network: ScoringNetwork,
    targets: Prepared,
    shared: HeadWeights,
    *,
    loss: RankingLoss,
    head: HeadConfig,
    config: GeneratorConfig,
    train_rows: Tensor,
    selection_rows: Tensor,
    seed: int,
    on_epoch: Callable[[int, float, float], None],
) -> Hypernetwork:
    """Trains the hypernetwork, keeping the epoch that is best on the selection users; epoch 0 is the shared blend.

    Args:
        network: the frozen experts.
        targets: prepared held-out targets.
        shared: where heads start.
        loss: what is minimised, as for the shared blend.
        head: kind and size.
        config: how to train.
        train_rows: (rows,) int64 targets to learn from.
        selection_rows: (rows,) int64 targets of other users, to choose the epoch by.
        seed: of the initial weights and the order of batches.
        on_epoch: told epoch, training loss and selection loss .

    Raises:
        TrainingError: the loss is not finite.
    """
    torch.manual_seed(seed)
    hypernetwork = Hypernetwork(head, targets.statistics.shape[1], len(network.names), network.width)
    inputs = hypernetwork.inputs(targets.statistics, targets.states)
    hypernetwork.start_from(inputs[train_rows], shared)

    def losses(rows: Tensor) -> tuple[Tensor, Tensor]:
        own = hypernetwork(inputs[rows])
        scores = network.score(targets.outputs(rows), own)
        penalty = (own.flat() - hypernetwork.shared).pow(2).sum(1).mean()
        return loss(scores, targets.items[rows], targets.masked[rows]), penalty

    fit_selected(
        hypernetwork,
        losses,
        config.schedule(),
        train_rows=train_rows,
        selection_rows=selection_rows,
        seed=seed,
        on_epoch=on_epoch,
    )
    return hypernetwork
