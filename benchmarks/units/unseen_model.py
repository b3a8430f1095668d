"""The whole model under the protocol `unseen`: every fit of a seed does without its tenth of the users.

Beside it, on the same experts: the shared blend, and heads fine-tuned on the few events that are the context. The warm
arms are those of the model that knew everyone, its generator fitted with the same seed.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
from torch import Tensor

from benchmarks.units.claims import FINE_TUNED, SHARED, head
from benchmarks.units.fine_tuned import PENALTIES, gains_of_all, own_gains, tuned_gains
from benchmarks.units.heads import configuration, generated, kept_head, steered
from benchmarks.units.joint import Steer, judged_together
from benchmarks.units.kept import HEAD_REVISION
from benchmarks.units.stages import STAGES_REVISION, profiles, seconds_of, stages
from benchmarks.units.training_part import EVERYTHING, without_share
from benchmarks.units.unit import Unit, UnitRun, finished
from benchmarks.units.unseen import protocol_name
from recsys.errors import ConfigError
from recsys.evaluation.cases import Cases
from recsys.evaluation.unseen import CONTEXT_LENGTHS, context_name, held_out_users, unseen_cases
from recsys.model.head import HeadWeights
from recsys.model.hypernetwork import Hypernetwork
from recsys.model.scoring import ScoringNetwork
from recsys.training.config import TrainConfig
from recsys.training.held_out import ranking_loss
from recsys.training.stages import Stages

SEEDS = (0, 1, 2)


def run_unseen_model(run: UnitRun, seed: int) -> Mapping[str, object]:
    """Fits experts, blend and generator without the seed's users, and scores them with 0, 1, 3, 5, 10, all events."""
    bench = run.bench
    config = configuration(bench)
    held = held_out_users(len(bench.whole), seed)
    penalties: dict[str, float] = {}
    if bench.split != "validation":
        penalties.update(finished(bench.on_validation(), run.unit.name)["figures"]["penalties"])
    for part, warm in ((without_share(seed), False), (EVERYTHING, True)):
        found = stages(bench, config, run.progress, part)
        fitted = kept_head(bench, config, found, config.head.kind, seed, run.progress, part)
        for known in CONTEXT_LENGTHS:
            cases = unseen_cases(bench.whole, held, known, bench.split)
            protocol = protocol_name(known, warm=warm)
            names = [head(config.head.kind), SHARED, *([] if warm else [FINE_TUNED])]
            if not len(cases):
                continue
            if not all([run.has(name, seed, protocol) for name in names]):
                rival = None if warm else _rival(run, found, cases, config, _chosen(run, penalties, known))
                _judge(run, found, fitted, rival, cases, seed, protocol)
            if not warm:
                penalties[context_name(known)] = _penalty_of(run, protocol)
    return {
        "config": config.model_dump(mode="json"),
        "stage_seconds": seconds_of(bench, config, without_share(seed)),
        "penalties": penalties,
    }


def _chosen(run: UnitRun, penalties: Mapping[str, float], known: int | None) -> float | None:
    """The rival's penalty that validation chose; None on validation itself, where it is still to be chosen."""
    if run.bench.split == "validation":
        return None
    if context_name(known) not in penalties:
        raise ConfigError(f"Validation has nobody with {context_name(known)} events to choose the rival's penalty by.")
    return penalties[context_name(known)]


def _judge(
    run: UnitRun,
    found: Stages,
    fitted: tuple[Hypernetwork, Mapping[str, object]],
    rival: tuple[float, Tensor] | None,
    cases: Cases,
    seed: int,
    protocol: str,
) -> None:
    generator, notes = fitted
    network, ours = found.final, head(generator.config.kind)
    arms: dict[tuple[str, int], Steer] = {
        (ours, seed): partial(generated, network, generator),
        (SHARED, seed): partial(steered, network, found.held_out.shared),
    }
    said = {(ours, seed): notes}
    if rival is not None:
        penalty, gains = rival
        arms[FINE_TUNED, seed] = partial(own_gains, network, gains)
        said[FINE_TUNED, seed] = {"penalty": penalty}
    judged = judged_together(run.bench, network, arms, profiles(run.bench), said, cases=cases, protocol=protocol)
    for arm in judged:
        if not run.has(arm.name, arm.seed, protocol):
            run.save(arm)


def _rival(
    run: UnitRun, found: Stages, cases: Cases, config: TrainConfig, penalty: float | None
) -> tuple[float, Tensor]:
    """The penalty and (users, experts) gains of heads fine-tuned on what the cases' contexts hold.

    Without a penalty, chosen on validation, the one that suits these very users best, to the rival's benefit: known
    users ask for another one.
    """
    bench, network = run.bench, found.final
    tried = PENALTIES if penalty is None else (penalty,)
    stored = _fine_tuned(run, network, found.held_out.shared, cases, config, tried)
    if penalty is None:
        arms: dict[tuple[str, int], Steer] = {
            (str(own), 0): partial(own_gains, network, gains) for own, gains in stored.items()
        }
        judged = judged_together(bench, network, arms, profiles(bench), {}, cases=cases)
        penalty = float(max(judged, key=lambda arm: arm.metrics()["ndcg@10"]).name)
    return penalty, stored[penalty]


def _penalty_of(run: UnitRun, protocol: str) -> float:
    """What a saved arm of the rival was fine-tuned with."""
    (own,) = (one for one in run.arms if (one["name"], one["protocol"]) == (FINE_TUNED, protocol))
    return float(own["notes"]["penalty"])


def _fine_tuned(
    run: UnitRun,
    network: ScoringNetwork,
    shared: HeadWeights,
    cases: Cases,
    config: TrainConfig,
    penalties: tuple[float, ...],
) -> dict[float, Tensor]:
    """By penalty (users, experts) gains: those of the cases' users are fine-tuned on what their context holds."""
    whole = run.bench.whole
    ends = np.zeros(len(whole), np.int64)
    ends[cases.users] = cases.known
    context = whole.without_last(whole.lengths - ends)
    loss = ranking_loss(config)
    tune = partial(tuned_gains, run.bench, context, network, shared, penalties=penalties, loss=loss)
    gains = gains_of_all(tune, shared, cases.users, len(whole), run.progress)
    return dict(zip(penalties, gains, strict=True))


UNSEEN_MODEL = tuple(
    Unit(
        f"unseen-model-{seed}",
        partial(run_unseen_model, seed=seed),
        f"the whole model for users that no fit knew, seed {seed}",
        settings={
            "seed": seed,
            "context_lengths": [context_name(k) for k in CONTEXT_LENGTHS],
            "head_revision": HEAD_REVISION,
        },
        revision=STAGES_REVISION,
        targets="single",
        also=lambda bench: {"config": configuration(bench).model_dump(mode="json")},
    )
    for seed in SEEDS
)
