"""Whether the shipped head's probabilities come true, on users who did not help to calibrate them."""

from __future__ import annotations

from collections.abc import Mapping

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
from recsys.model.calibration import Calibration
from recsys.model.personal import PersonalModel
from recsys.ranking.top_k import top_k
from recsys.training.config import TrainConfig
from recsys.training.fit import calibrate, described

LENGTH = 10


def run_calibration(run: UnitRun) -> Mapping[str, object]:
    """Calibrates as training does, and judges the top-10 of everybody else."""
    bench, config = run.bench, configuration(run.bench)
    found = {str(seed): _judged(run, config, seed) for seed in run.seeds}
    return {"config": config.model_dump(mode="json"), "kind": config.head.kind, "by_seed": found, "split": bench.split}


def _judged(run: UnitRun, config: TrainConfig, seed: int) -> Mapping[str, object]:
    bench = run.bench
    stage = stages(bench, config, run.progress)
    held = stage.held_out
    generator, _ = kept_head(bench, config, stage, config.head.kind, seed, run.progress)
    said = described(stage, config, clock=bench.dataset.schema.clock)
    calibration = calibrate(PersonalModel(said, held.network, generator, held.shared), held, bench.train)
    helped = np.unique(held.targets.users[held.selection.numpy()])
    probabilities, hits, listed, users = [], [], [], []
    with torch.no_grad():
        for block, say in case_contexts(bench, stage.final, profiles(bench)):
            own = _lists(generated(stage.final, generator, say), block.masked, block.targets, calibration)
            for kept_parts, one in zip((probabilities, hits, listed), own, strict=True):
                kept_parts.append(one)
            users.append(block.users)
    fresh = ~np.isin(np.concatenate(users), helped)
    chances, came, there = (np.concatenate(own)[fresh] for own in (probabilities, hits, listed))
    of_lists = calibration.list_probabilities(chances, baskets=bench.baskets)
    return {
        "users": int(fresh.sum()),
        "users_left_out": int((~fresh).sum()),
        **judged_lists(chances, of_lists, came, there, baskets=bench.baskets),
    }


def _lists(
    scores: Tensor, masked: Tensor | None, targets: Tensor, calibration: Calibration
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(batch, 10) probabilities, hits, and whether there is an item."""
    allowed = scores if masked is None else scores.masked_fill(masked, -torch.inf)
    values, columns = top_k(allowed, min(LENGTH, allowed.shape[1]))
    there = torch.isfinite(values)
    softmax = (values - allowed.logsumexp(1, keepdim=True)).exp().numpy()
    said = np.where(there.numpy(), calibration.probabilities(softmax), 0.0)
    hit = (columns[:, :, None] == targets[:, None, :]).any(2) & there
    return said, hit.numpy(), there.numpy()


def _also(bench: Bench) -> Mapping[str, object]:
    return {"config": configuration(bench).model_dump(mode="json")}


CALIBRATION = Unit(
    "calibration",
    run_calibration,
    "whether the shipped head's probabilities come true on users who did not help to calibrate them",
    settings={"head_revision": HEAD_REVISION, "length": LENGTH},
    revision=STAGES_REVISION + 1,
    seeds=SEEDS,
    also=_also,
)
