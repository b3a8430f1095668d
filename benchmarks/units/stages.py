"""The fitted experts that all head arms share, kept in the work folder: fitted once a seed, read back by every unit."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from benchmarks.units.bench import Bench
from benchmarks.units.files import key_of, read_json, write_json, write_whole
from benchmarks.units.training_part import EVERYTHING, TrainingPart
from recsys.experts.body import BodyExpert
from recsys.experts.kinds import rebuilt
from recsys.model.head import HeadWeights
from recsys.model.scoring import BODY, ScoringNetwork
from recsys.registry.lineage import code_commit
from recsys.training.config import TrainConfig
from recsys.training.distributed import BodyRun
from recsys.training.experts import fit_body_expert
from recsys.training.held_out import HeldOut
from recsys.training.progress import Progress
from recsys.training.stages import Stages, Start, begin, stages_on
from recsys.training.targets import Prepared, Targets

BODY_REVISION = 3
"""Raised by hand when the body's code changes what it would find."""
_BEHIND_THE_BODY = 1
"""The same for the stages after the body."""
STAGES_REVISION = BODY_REVISION + _BEHIND_THE_BODY
"""Both only grow, so that it changes with either."""
BASKETS_REVISION = 2
"""The same for what concerns next baskets alone."""
BEGINNERS_DRAWN = "by name"
"""How those users are chosen of whom the experts know no beginnings."""
_PREPARED = ("scores", "states", "statistics", "items", "masked")
_TARGETS = ("users", "items", "lengths", "keep")


def profiles(bench: Bench) -> np.ndarray:
    """(users, width) float32 encoded profiles in the order of the sequences."""
    return np.asarray(bench.dataset.encoded_profiles(bench.dataset.profile_encoding()), dtype=np.float32)


def stages(bench: Bench, config: TrainConfig, progress: Progress, part: TrainingPart = EVERYTHING) -> Stages:
    """The stages of a configuration (its seed included) on a part of the events, from disk if they are there.

    Args:
        bench: data and folders.
        config: everything that decides.
        progress: bars.
        part: what every fit is given.
    """
    folder, key = _place(bench, config, part)
    if (read_json(folder / "done.json") or {}).get("key") != key:
        schema, attributes, profile = bench.dataset.schema, bench.dataset.attributes, profiles(bench)
        train = part.sequences(bench)
        kinds = {"clock": schema.clock, "repeats": schema.repeats}
        start = begin(train, attributes, config, **kinds, has_profile=profile.shape[1] > 0)
        body, fitted_in = _body(bench, start, config, progress, part)
        started, commit = time.monotonic(), code_commit()
        found = stages_on(body, start, train, profile, attributes, config, **kinds, progress=progress)
        folder.mkdir(parents=True, exist_ok=True)
        _save(folder, found)
        seconds = round(fitted_in + time.monotonic() - started, 1)
        write_json(
            folder / "done.json", {"key": key, "seconds": seconds, "losses": list(found.body_losses), "commit": commit}
        )
    return _load(folder, config)


def seconds_of(bench: Bench, config: TrainConfig, part: TrainingPart = EVERYTHING) -> float:
    """How long fitting the stages took."""
    done = read_json(_place(bench, config, part)[0] / "done.json") or {}
    return float(done.get("seconds", float("nan")))


def heads_folder(bench: Bench, config: TrainConfig, part: TrainingPart = EVERYTHING) -> Path:
    """Where heads fitted on these stages are kept."""
    return _place(bench, config, part)[0] / "heads"


def _place(bench: Bench, config: TrainConfig, part: TrainingPart) -> tuple[Path, str]:
    """Where stages lie and the key of what they were made from: of the head only the rank of the shared bases."""
    made_from = config.model_dump(mode="json", exclude={"head": {"kind", "hidden"}})
    revisions: dict[str, object] = {"baskets": BASKETS_REVISION} if bench.baskets else {}
    if config.generator.beginners:
        revisions["beginners"] = BEGINNERS_DRAWN
    key = key_of({"data": bench.fingerprint, "config": made_from, **part.key, **revisions, "revision": STAGES_REVISION})
    return bench.work / bench.workspace.name / f"stages-{key[:12]}", key


def _body(
    bench: Bench, start: Start, config: TrainConfig, progress: Progress, part: TrainingPart
) -> tuple[BodyRun, float]:
    """The body of a configuration and how long it took, by itself on disk: it costs most and depends on least."""
    parts = {"seed", "workers", "body", "body_training"}
    made_from = {"data": bench.fingerprint, "config": config.model_dump(mode="json", include=parts), **part.key}
    generator = config.generator
    beginners = [generator.beginners, generator.beginner_events, BEGINNERS_DRAWN] if generator.beginners else []
    held = (
        generator.held_out_users if generator.hold_out == "users" else ["last", generator.held_out_events, *beginners]
    )
    key = key_of({**made_from, "held": held})
    path = bench.work / bench.workspace.name / f"body-{key[:12]}-r{BODY_REVISION}.safetensors"
    if not path.is_file():
        schema = bench.dataset.schema
        started, commit = time.monotonic(), code_commit()
        run = fit_body_expert(start.fit_on, bench.dataset.attributes, config, progress, clock=schema.clock)
        said = {"settings": dict(run.expert.settings()), "losses": list(run.losses)}
        said |= {"seconds": round(time.monotonic() - started, 1), "commit": commit}
        tensors = {name: own.detach().contiguous() for name, own in run.expert.tensors().items()}
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, lambda file: save_file(tensors, file, {"said": json.dumps(said)}))
    with safe_open(path, framework="pt") as stored:
        said = json.loads(stored.metadata()["said"])
    run = BodyRun(BodyExpert.rebuild(said["settings"], load_file(path)), tuple(said["losses"]))
    return run, float(said["seconds"])


def _save(folder: Path, found: Stages) -> None:
    held = found.held_out
    _save_network(folder / "held.safetensors", held.network)
    _save_network(folder / "final.safetensors", found.final)
    tensors: dict[str, Tensor] = {f"prepared.{name}": getattr(held.prepared, name) for name in _PREPARED}
    tensors |= {f"targets.{name}": torch.tensor(getattr(held.targets, name)) for name in _TARGETS}
    tensors |= {"train": held.train, "selection": held.selection, "gains": held.shared.gains}
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "targets.safetensors")


def _load(folder: Path, config: TrainConfig) -> Stages:
    tensors = load_file(folder / "targets.safetensors")
    held = HeldOut(
        network=_load_network(folder / "held.safetensors", config),
        targets=Targets(**{name: tensors[f"targets.{name}"].numpy() for name in _TARGETS}),
        prepared=Prepared(**{name: tensors[f"prepared.{name}"] for name in _PREPARED}),
        shared=HeadWeights(tensors["gains"], torch.zeros(1)),
        train=tensors["train"],
        selection=tensors["selection"],
    )
    done: Mapping[str, Any] = read_json(folder / "done.json") or {}
    final = _load_network(folder / "final.safetensors", config)
    return Stages(held, final, tuple(done.get("losses", ())))


def _save_network(path: Path, network: ScoringNetwork) -> None:
    experts = {BODY: network.body, **network.others}
    specs = [[name, expert.kind, dict(expert.settings())] for name, expert in experts.items()]
    tensors = {f"{name}.{key}": own for name, expert in experts.items() for key, own in expert.tensors().items()}
    tensors |= {"scales": network.scales, "bases": network.bases}
    save_file({k: v.detach().contiguous() for k, v in tensors.items()}, path, {"specs": json.dumps(specs)})


def _load_network(path: Path, config: TrainConfig) -> ScoringNetwork:
    with safe_open(path, framework="pt") as stored:
        specs = json.loads(stored.metadata()["specs"])
    tensors = load_file(path)
    experts = {
        name: rebuilt(
            kind,
            settings,
            {k.removeprefix(f"{name}."): v for k, v in tensors.items() if k.startswith(f"{name}.")},
        )
        for name, kind, settings in specs
    }
    body = experts.pop(BODY)
    assert isinstance(body, BodyExpert)
    panel = config.head.panel_size(len(body.items) - 1)
    return ScoringNetwork(
        body, experts, tensors["scales"], tensors["bases"], config.discovery, config.head.reads, panel
    )
