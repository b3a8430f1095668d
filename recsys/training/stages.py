"""The stages before any head: experts without the generator's targets, the blend on these, experts on everyone.

Sees training sequences only.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from recsys.allocator import keep_large_blocks
from recsys.context.sequences import Sequences, prefix_contexts
from recsys.errors import ConfigError, DataError
from recsys.model.scoring import ScoringNetwork, expert_scales
from recsys.training.attributes import ItemAttributes
from recsys.training.body_start import BodyStart
from recsys.training.config import TrainConfig
from recsys.training.distributed import BodyRun
from recsys.training.experts import closed_form_fits, fit_body_expert, fit_closed_form
from recsys.training.held_out import HeldOut, draw_targets, hold_out, kept_back
from recsys.training.progress import Progress

MINIMUM_ITEMS = 2
_SCALE_SAMPLE = 512


@dataclass(frozen=True, slots=True)
class Stages:
    """What heads are trained on and what they will steer.

    Attributes:
        held_out: targets that no expert was fitted on, and the blend.
        final: the scoring network whose closed-form experts know everyone.
        body_losses: training loss of each epoch, nats.
    """

    held_out: HeldOut
    final: ScoringNetwork
    body_losses: tuple[float, ...]

    @property
    def held_out_users(self) -> int:
        """How many users the targets are of."""
        return len(np.unique(self.held_out.targets.users))


def fit_stages(
    sequences: Sequences,
    profile: np.ndarray,
    attributes: ItemAttributes,
    config: TrainConfig,
    *,
    clock: bool,
    repeats: bool,
    progress: Progress,
    start: BodyStart | None = None,
    kept: Path | None = None,
) -> Stages:
    """Fits everything but heads.

    A share of the users, or everybody's last events or baskets, is kept from the body and, for the generator's sake,
    from the closed-form experts: the targets of the shared blend and of the generator are of it. The closed-form
    experts are then fitted again on everything; the body, whose basis the generator is bound to, is not. Arguments and
    errors are those of `fit_model`.
    """
    keep_large_blocks()
    begun = begin(sequences, attributes, config, clock=clock, repeats=repeats, has_profile=profile.shape[1] > 0)
    body = fit_body_expert(begun.fit_on, attributes, config, progress, clock=clock, start=start, kept=kept)
    return stages_on(
        body, begun, sequences, profile, attributes, config, clock=clock, repeats=repeats, progress=progress
    )


@dataclass(frozen=True, slots=True)
class Start:
    """What is kept back, and the source of all later random choices.

    Attributes:
        fitted: (events,) bool which of the complete sequences' events experts are fitted on while the generator is
            trained.
        fit_on: these, in which everybody stays, perhaps with no events.
        targets: (events,) bool which of the complete sequences' events may become its targets.
        rng: in the state after that draw.
    """

    fitted: np.ndarray
    fit_on: Sequences
    targets: np.ndarray
    rng: np.random.Generator


def begin(
    sequences: Sequences,
    attributes: ItemAttributes,
    config: TrainConfig,
    *,
    clock: bool,
    repeats: bool,
    has_profile: bool,
) -> Start:
    """Refuses what cannot be trained on and keeps back the generator's targets. Errors are those of `fit_model`."""
    if attributes.n_items < MINIMUM_ITEMS:
        raise DataError(
            f"Only {attributes.n_items} item has positive events; at least {MINIMUM_ITEMS} are needed to rank."
        )
    if config.popularity.half_life_days is not None and not clock:
        raise ConfigError("popularity.half_life_days needs real times, and these events have only an order. Unset it.")
    there = {"times": clock, "repetition": repeats, "profile": has_profile}
    read = config.head.reads
    if config.head.kind == "gains" and read is not None and not any(there.get(group, True) for group in read):
        raise ConfigError(
            f"head.reads names only {', '.join(read) or 'nothing'}, which these data do not have: heads of kind "
            "gains are made from nothing else."
        )
    rng = np.random.default_rng(config.seed)
    fitted, targets = kept_back(sequences, config.generator, rng, config.seed)
    return Start(fitted, sequences.keep(fitted), targets, rng)


def stages_on(
    body: BodyRun,
    start: Start,
    sequences: Sequences,
    profile: np.ndarray,
    attributes: ItemAttributes,
    config: TrainConfig,
    *,
    clock: bool,
    repeats: bool,
    progress: Progress,
) -> Stages:
    """The stages after the body, which must have been fitted on `start.fit_on`. Arguments are those of `fit_stages`."""
    n_items, rng, fit_on = attributes.n_items, start.rng, start.fit_on
    kinds = {"clock": clock, "repeats": repeats}
    experts = fit_closed_form(
        closed_form_fits(fit_on, attributes, config, **kinds), progress, "without the generator's targets"
    )
    torch.manual_seed(config.seed)
    bases = torch.randn(2, config.body.width, config.head.rank) * config.body.width**-0.5
    targets = draw_targets(sequences, start.targets, config, rng, n_experts=len(experts) + 1, n_items=n_items)
    sample = targets.take(np.arange(min(_SCALE_SAMPLE, len(targets))))
    scales = expert_scales(
        body.expert,
        experts,
        prefix_contexts(sequences, sample.users, sample.lengths, profile, history_length=config.history_length),
    )
    panel = config.head.panel_size(n_items)
    network = ScoringNetwork(body.expert, experts, scales, bases, config.discovery, config.head.reads, panel)
    held_out = hold_out(network, sequences, start.fitted, targets, profile, config, rng, progress, **kinds)
    everyone = fit_closed_form(closed_form_fits(sequences, attributes, config, **kinds), progress, "everyone")
    return Stages(held_out, held_out.network.replaced(others=everyone), body.losses)
