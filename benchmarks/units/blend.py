"""The shared blend once more, with all that heads learn from: what it would win by as many targets."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor

from benchmarks.units.arms import WARM
from benchmarks.units.claims import BLEND_OF_ALL
from benchmarks.units.heads import configuration, steered
from benchmarks.units.joint import judged_together
from benchmarks.units.kept import kept
from benchmarks.units.stages import STAGES_REVISION, heads_folder, profiles, stages
from benchmarks.units.unit import Unit, UnitRun
from recsys.model.head import HeadWeights
from recsys.training.blend import fit_blend
from recsys.training.held_out import ranking_loss

BLEND_REVISION = 1


def run_blend(run: UnitRun) -> Mapping[str, object]:
    """Fits gains and scales on every target of the generator, those that select its epoch included, and judges them."""
    bench = run.bench
    config = configuration(bench)
    found = stages(bench, config, run.progress)
    targets = found.held_out.prepared

    def fit() -> tuple[Mapping[str, Tensor], Mapping[str, object]]:
        head, scales = fit_blend(found.held_out.network, targets, ranking_loss(config))
        return {"gains": head.gains, "scales": scales}, {"targets": len(targets)}

    path = heads_folder(bench, config) / f"blend-of-all-r{BLEND_REVISION}.safetensors"
    tensors, notes = kept(path, fit)
    network = found.final.replaced(scales=tensors["scales"])
    head = HeadWeights(tensors["gains"], torch.zeros(1))
    arms = {(BLEND_OF_ALL, 0): partial(steered, network, head)}
    for arm in judged_together(bench, network, arms, profiles(bench), {(BLEND_OF_ALL, 0): notes}, protocol=WARM):
        run.save(arm)
    return {"targets": len(targets), "blend_targets": config.generator.blend_targets}


BLEND = Unit(
    "blend",
    run_blend,
    "the shared blend fitted on every target that heads learn from",
    settings={"blend_revision": BLEND_REVISION},
    revision=STAGES_REVISION,
    needs=("experts",),
    also=lambda bench: {"config": configuration(bench).model_dump(mode="json")},
)
