"""The whole model under the protocol `unseen`: every fit of a seed does without its tenth of the users.

Beside it, on the same experts: the shared blend, and heads fine-tuned on the few events that are the context. The warm
arms are those of the model that knew everyone, its generator fitted with the same seed.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
import torch
from torch import Tensor

from benchmarks.units.bench import Bench
from benchmarks.units.claims import FINE_TUNED, SHARED, head
from benchmarks.units.fine_tuned import own_gains, tuned_gains
from benchmarks.units.heads import configuration, generated, kept_head, steered
from benchmarks.units.joint import Steer, judged_together
from benchmarks.units.stages import STAGES_REVISION, profiles, seconds_of, stages
from benchmarks.units.training_part import EVERYTHING, without_share
from benchmarks.units.unit import Unit, UnitRun, finished
from benchmarks.units.unseen import protocol_name
from recsys.evaluation.cases import Cases
from recsys.evaluation.unseen import CONTEXT_LENGTHS, context_name, held_out_users, unseen_cases
from recsys.model.head import HeadWeights
from recsys.model.scoring import ScoringNetwork
from recsys.training.config import TrainConfig
from recsys.training.held_out import ranking_loss

SEEDS = (0, 1, 2)
_USERS = 48


def run_unseen_model(run: UnitRun, seed: int) -> Mapping[str, object]:
    """Fits experts, blend and generator without the seed's users, and scores them with 0, 1, 3, 5, 10, all events."""
    bench = run.bench
    config = configuration(bench)
    penalty = float(finished(bench.on_validation(), "fine-tuned")["figures"]["chosen"]["penalty"])
    held = held_out_users(len(bench.whole), seed)
    ours = head(config.head.kind)
    for part, warm in ((without_share(seed), False), (EVERYTHING, True)):
        found = stages(bench, config, run.progress, part)
        network, shared = found.final, found.held_out.shared
        generator, notes = kept_head(bench, config, config.head.kind, seed, run.progress, part)
        for known in CONTEXT_LENGTHS:
            cases = unseen_cases(bench.whole, held, known, bench.split)
            if not len(cases):
                continue
            arms: dict[tuple[str, int], Steer] = {
                (ours, seed): partial(generated, network, generator),
                (SHARED, seed): partial(steered, network, shared),
            }
            if not warm:
                gains = _fine_tuned(bench, network, shared, cases, penalty, config)
                arms[FINE_TUNED, seed] = partial(own_gains, network, gains)
            said = {(ours, seed): notes}
            for arm in judged_together(
                bench, network, arms, profiles(bench), said,
                cases=cases, protocol=protocol_name(known, warm=warm),
            ):  # fmt: skip
                run.save(arm)
    return {"config": config.model_dump(mode="json"), "stage_seconds": seconds_of(bench, config, without_share(seed))}


def _fine_tuned(
    bench: Bench, network: ScoringNetwork, shared: HeadWeights, cases: Cases, penalty: float, config: TrainConfig
) -> Tensor:
    """(users, experts) gains of everybody: those of the cases' users are fine-tuned on what their context holds."""
    ends = np.zeros(len(bench.whole), np.int64)
    ends[cases.users] = cases.known
    context = bench.whole.without_last(bench.whole.lengths - ends)
    gains = shared.gains.repeat(len(bench.whole), 1)
    for start in range(0, len(cases), _USERS):
        users = cases.users[start : start + _USERS]
        (own,) = tuned_gains(bench, context, network, shared, users, (penalty,), ranking_loss(config))
        gains[torch.from_numpy(users)] = own
    return gains


UNSEEN_MODEL = tuple(
    Unit(
        f"unseen-model-{seed}",
        partial(run_unseen_model, seed=seed),
        f"the whole model for users that no fit knew, seed {seed}",
        settings={"seed": seed, "context_lengths": [context_name(k) for k in CONTEXT_LENGTHS]},
        needs=("fine-tuned",),
        revision=STAGES_REVISION,
        targets="single",
        also=lambda bench: {"config": configuration(bench).model_dump(mode="json")},
    )
    for seed in SEEDS
)
