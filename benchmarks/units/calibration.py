"""Whether the shipped head's probabilities come true, on users who did not help to calibrate them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from benchmarks.units.bench import Bench
from benchmarks.units.heads import SEEDS, configuration, generated, kept_head
from benchmarks.units.joint import case_contexts
from benchmarks.units.kept import HEAD_REVISION
from benchmarks.units.stages import STAGES_REVISION, profiles, stages
from benchmarks.units.unit import Unit, UnitRun
from recsys.evaluation.calibrated import judged_lists
from recsys.evaluation.calibrating import RULE, calibrates
from recsys.model.calibration import fit_calibration
from recsys.model.hypernetwork import Hypernetwork
from recsys.model.repetition import usual_basket
from recsys.model.scoring import ScoringNetwork
from recsys.ranking.top_k import top_k
from recsys.training.config import TrainConfig

LENGTH = 10


def run_calibration(run: UnitRun) -> Mapping[str, object]:
    """Calibrates on validation targets as training does, and judges the split's top-10 of everybody else."""
    bench, config = run.bench, configuration(run.bench)
    found = {str(seed): _judged(run, config, seed) for seed in run.seeds}
    return {
        "config": config.model_dump(mode="json"),
        "kind": config.head.kind,
        "calibrated_on": RULE,
        "by_seed": found,
        "split": bench.split,
    }


def _judged(run: UnitRun, config: TrainConfig, seed: int) -> Mapping[str, object]:
    bench = run.bench
    stage = stages(bench, config, run.progress)
    generator, _ = kept_head(bench, config, stage, config.head.kind, seed, run.progress)
    lists = _top_lists(bench, stage.final, generator)
    validation = lists if bench.split == "validation" else _top_lists(bench.on_validation(), stage.final, generator)
    helped = validation.of(bench, calibrating=True)
    calibration = fit_calibration(helped.softmax, helped.hits, helped.basket_sizes, baskets=bench.baskets)
    fresh = lists.of(bench, calibrating=False)
    chances = calibration.probabilities(fresh.softmax, fresh.basket_sizes)
    of_lists = calibration.list_probabilities(chances, baskets=bench.baskets)
    return {
        "users": len(fresh.users),
        "users_who_calibrated": len(helped.users),
        "calibration": calibration.to_dict(),
        **judged_lists(chances, of_lists, fresh.hits, fresh.listed, baskets=bench.baskets),
    }


@dataclass(frozen=True, slots=True)
class _Lists:
    """The top-10 of some users.

    Attributes:
        users: (users,) int64 position of each user.
        basket_sizes: (users,) float32 usual size of their baskets; 1 where there are none.
        softmax: (users, 10) model probabilities; 0 past a list's end.
        hits: (users, 10) bool, which items are targets.
        listed: (users, 10) bool, whether there is an item.
    """

    users: np.ndarray
    basket_sizes: np.ndarray
    softmax: np.ndarray
    hits: np.ndarray
    listed: np.ndarray

    def of(self, bench: Bench, *, calibrating: bool) -> _Lists:
        """Those of the users who calibrate, or of all others."""
        rows = calibrates([bench.whole.user_ids[user] for user in self.users]) == calibrating
        return _Lists(*(getattr(self, own.name)[rows] for own in fields(self)))


@torch.no_grad()
def _top_lists(bench: Bench, network: ScoringNetwork, generator: Hypernetwork) -> _Lists:
    parts = []
    for block, say in case_contexts(bench, network, profiles(bench)):
        sizes = usual_basket(block.context, baskets=bench.baskets).numpy()
        parts.append((block.users, sizes, *_lists(generated(network, generator, say), block.masked, block.targets)))
    return _Lists(*(np.concatenate(own) for own in zip(*parts, strict=True)))


def _lists(scores: Tensor, masked: Tensor | None, targets: Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(batch, 10) softmax probabilities, hits, and whether there is an item."""
    allowed = scores if masked is None else scores.masked_fill(masked, -torch.inf)
    values, columns = top_k(allowed, min(LENGTH, allowed.shape[1]))
    there = torch.isfinite(values)
    softmax = (values - allowed.logsumexp(1, keepdim=True)).exp()  # 0 where there is none
    hit = (columns[:, :, None] == targets[:, None, :]).any(2) & there
    return softmax.numpy(), hit.numpy(), there.numpy()


def _also(bench: Bench) -> Mapping[str, object]:
    return {"config": configuration(bench).model_dump(mode="json")}


CALIBRATION = Unit(
    "calibration",
    run_calibration,
    "whether the shipped head's probabilities come true on users who did not help to calibrate them",
    settings={"head_revision": HEAD_REVISION, "length": LENGTH, "calibrated_on": RULE},
    revision=STAGES_REVISION + 3,
    seeds=SEEDS,
    also=_also,
)
