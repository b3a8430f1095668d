"""The rival that stores a head a user: gains fine-tuned from the shared blend on each user's own newest events."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.units.arms import WARM
from benchmarks.units.baselines import chosen
from benchmarks.units.bench import Bench
from benchmarks.units.claims import FINE_TUNED
from benchmarks.units.heads import configuration
from benchmarks.units.joint import Say, Steer, judged_together
from benchmarks.units.kept import HEAD_REVISION, kept
from benchmarks.units.stages import STAGES_REVISION, heads_folder, profiles, stages
from benchmarks.units.unit import Unit, UnitRun
from recsys.context.sequences import Sequences
from recsys.evaluation.cases import Cases
from recsys.model.head import HeadWeights
from recsys.model.losses import RankingLoss
from recsys.model.scoring import ScoringNetwork
from recsys.training.held_out import ranking_loss
from recsys.training.progress import Progress
from recsys.training.targets import Targets, prepare

EVENTS = 20
STEPS = 30
STEP_SIZE = 0.03
PENALTIES = (0.3, 3.0, 30.0, 300.0)
TUNING_USERS = 1_500
"""So many are enough to tell penalties apart, which are factors of ten."""
TUNING = "tuning"
"""Protocol of the trials: their users are fewer than the table's."""
_USERS = 48


def run_fine_tuned(run: UnitRun) -> dict[str, object]:
    """Tunes the penalty on validation; on other splits takes what validation chose.

    The experts have seen these users' events: that is how a stored head is made in practice, nothing else is known of a
    user. The penalty is what keeps it from believing them too much.
    """
    bench = run.bench
    config = configuration(bench)
    found = stages(bench, config, run.progress)
    network, shared = found.final, found.held_out.shared

    def tuned(users: np.ndarray, penalties: tuple[float, ...]) -> list[Tensor]:
        loss = ranking_loss(config)
        tune = partial(tuned_gains, bench, bench.train, network, shared, penalties=penalties, loss=loss)
        return gains_of_all(tune, shared, users, len(bench.train), run.progress)

    def judged(gains: Mapping[str, Tensor], notes: Mapping[str, object], cases: Cases | None, protocol: str) -> None:
        arms: dict[tuple[str, int], Steer] = {
            (name, 0): partial(own_gains, network, own) for name, own in gains.items()
        }
        said = {key: {**notes, "stored_numbers_a_user": len(network.names)} for key in arms}
        for arm in judged_together(bench, network, arms, profiles(bench), said, cases=cases, protocol=protocol):
            run.save(arm)

    def search() -> dict[str, Any]:
        cases = None if bench.baskets else _some(bench.cases)
        users = (bench.basket_cases if cases is None else cases).users
        names = {penalty: f"{FINE_TUNED}, penalty {penalty:g}" for penalty in PENALTIES}
        found = dict(zip(names.values(), tuned(users, PENALTIES), strict=True))
        judged(found, {"users": len(users)}, cases, TUNING)
        trials = {entry["name"]: entry["metrics"] for entry in run.arms if entry["protocol"] == TUNING}
        best = max(PENALTIES, key=lambda penalty: trials[names[penalty]]["ndcg@10"])
        return {
            "chosen": {"penalty": best},
            "trials": {str(penalty): trials[name] for penalty, name in names.items()},
            "users_of_trials": len(users),
        }

    figures = chosen(run, search)
    penalty = float(figures["chosen"]["penalty"])
    everybody = np.arange(len(bench.train))
    path = (
        heads_folder(bench, config)
        / f"fine-tuned-{penalty:g}-{EVENTS}-{STEPS}-{STEP_SIZE:g}-r{HEAD_REVISION}.safetensors"
    )
    gains, notes = kept(path, lambda: ({"gains": tuned(everybody, (penalty,))[0]}, {"penalty": penalty}))
    judged({FINE_TUNED: gains["gains"]}, notes, None, WARM)
    return figures


def _some(cases: Cases) -> Cases:
    """At most TUNING_USERS of them, drawn at random, always the same."""
    drawn = np.random.default_rng(0).permutation(len(cases))[:TUNING_USERS]
    return cases.take(np.sort(drawn))


def gains_of_all(
    tune: Callable[[np.ndarray], list[Tensor]],
    shared: HeadWeights,
    users: np.ndarray,
    everybody: int,
    progress: Progress,
) -> list[Tensor]:
    """(everybody, experts) gains for each penalty, those of other users being the blend's.

    Args:
        tune: `tuned_gains` of all but the users; it is called for a few of them at a time.
        shared: the blend.
        users: (users,) int64 positions of those to tune, one at least.
        everybody: how many users there are.
        progress: bars.
    """
    bar = progress.stage("fine-tuned heads", -(-len(users) // _USERS))
    parts = []
    for first in range(0, len(users), _USERS):
        parts.append(tune(users[first : first + _USERS]))
        bar.advance()
    gains = []
    for own in zip(*parts, strict=True):
        whole = shared.gains.repeat(everybody, 1)
        whole[torch.from_numpy(users)] = torch.cat(own)
        gains.append(whole)
    return gains


def tuned_gains(
    bench: Bench,
    sequences: Sequences,
    network: ScoringNetwork,
    shared: HeadWeights,
    users: np.ndarray,
    penalties: tuple[float, ...],
    loss: RankingLoss,
) -> list[Tensor]:
    """Gains fine-tuned on each user's newest events.

    Args:
        bench: profiles and what kind of data it is.
        sequences: the events that are known.
        network: the experts.
        shared: where everybody starts.
        users: (users,) int64 positions.
        penalties: on the squared distance from `shared`.
        loss: what is minimised.

    Returns:
        (users, experts) for each penalty.
    """
    schema = bench.dataset.schema
    targets, owner = _newest(sequences, users)
    found = [shared.gains.expand(len(users), -1).clone() for _ in penalties]
    if not len(targets):
        return found
    prepared = prepare(
        network,
        sequences,
        targets,
        profiles(bench),
        history_length=200,
        clock=schema.clock,
        repeats=schema.repeats,
    )
    scores, whose = prepared.scores.float(), torch.from_numpy(owner)
    for place, penalty in enumerate(penalties):
        gains = found[place].clone().requires_grad_(True)
        optimizer = torch.optim.Adam([gains], lr=STEP_SIZE)
        for _ in range(STEPS):
            blended = torch.bmm(gains[whose][:, None], scores)[:, 0]
            # Summed over targets, so that a user's own number of events weighs against the penalty.
            own = loss(blended, prepared.items, prepared.masked) * len(targets)
            optimizer.zero_grad()
            (own + penalty * (gains - shared.gains).pow(2).sum()).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        found[place] = gains.detach()
    return found


def _newest(train: Sequences, users: np.ndarray) -> tuple[Targets, np.ndarray]:
    """Each user's newest events as targets, and whose each is, as a position in `users`."""
    known = train.known_before
    spans = [
        np.arange(max(train.offsets[u + 1] - EVENTS, train.offsets[u]), train.offsets[u + 1]) for u in users.tolist()
    ]
    events = np.concatenate(spans)
    owner = np.repeat(np.arange(len(users)), [len(span) for span in spans])
    kept = known[events] > 0
    events, owner = events[kept], owner[kept]
    lengths = known[events]
    return Targets(users[owner], train.items[events], lengths, lengths.copy()), owner


def own_gains(network: ScoringNetwork, gains: Tensor, say: Say) -> Tensor:
    """(batch, n_items) logits of each user's stored gains (users, experts)."""
    return network.score(say.outputs, HeadWeights(gains[torch.from_numpy(say.users)], torch.zeros(len(say.users))))


FINE_TUNED_HEADS = Unit(
    "fine-tuned",
    run_fine_tuned,
    "a stored head a user, fine-tuned from the shared blend; its penalty tuned on validation",
    settings={
        "events": EVENTS,
        "steps": STEPS,
        "step_size": STEP_SIZE,
        "penalties": list(PENALTIES),
        "tuning_users": TUNING_USERS,
        "head_revision": HEAD_REVISION,
    },
    needs=("experts",),
    revision=STAGES_REVISION,
    also=lambda bench: {"config": configuration(bench).model_dump(mode="json")},
)
