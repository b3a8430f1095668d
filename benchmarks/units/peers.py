"""SASRec of RecTools as a peer: trained on our sequences in an environment of its own, ranked by our rule."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from benchmarks.units.arms import WARM, Arm
from benchmarks.units.bench import Bench
from benchmarks.units.files import write_json
from benchmarks.units.unit import Unit, UnitRun
from benchmarks.units.unseen import protocol_name
from recsys.context.sequences import Sequences, ragged_ranges
from recsys.errors import ConfigError, TrainingError
from recsys.evaluation.baselines.tuning import validation_cases
from recsys.evaluation.cases import Cases, Catalogue
from recsys.evaluation.unseen import CONTEXT_LENGTHS, held_out_users, unseen_cases, without_users
from recsys.metrics.ranking import target_ranks

SASREC = "SASRec (RecTools)"
PEERS = Path(__file__).resolve().parents[1] / "peers"
VENV = PEERS.parents[1] / "build" / "peers" / "venv"
SELECTING_USERS = 2_000  # more of them cost as much as training does
LONG_HISTORIES = 50  # median events from which the longer window is used

MODEL: Mapping[str, object] = {
    "n_factors": 128,
    "n_blocks": 2,
    "n_heads": 2,
    "dropout_rate": 0.2,
    "loss": "softmax",
    "lr": 0.001,
    "batch_size": 64,
}
TRAINING: Mapping[str, object] = {"epochs": 200, "patience": 5}


def sasrec_units(minutes: float = 30.0, seeds: tuple[int, ...] = (0, 1, 2)) -> tuple[Unit, ...]:
    """Two units a seed: with all users in training, and without the tenth that the seed holds out.

    Args:
        minutes: how long each of its threads may compute in training; it stops earlier where validation loss no longer
            falls. Processor time, so that a fit beside other work is no worse.
        seeds: of the fits.
    """
    units = []
    for seed in seeds:
        for unseen in (False, True):
            name = f"sasrec-{'unseen-' if unseen else ''}{seed}"
            about = f"{SASREC}, seed {seed}, {minutes:g} minutes{', without a tenth of the users' if unseen else ''}"
            work = partial(run_sasrec, seed=seed, unseen=unseen, minutes=minutes)
            settings = {"seed": seed, "minutes": minutes, "model": dict(MODEL), "training": dict(TRAINING)}
            units.append(Unit(name, work, about, settings=settings, targets="single"))
    return tuple(units)


def run_sasrec(
    run: UnitRun, *, seed: int, unseen: bool, minutes: float, python: Path = VENV / "bin" / "python"
) -> dict[str, Any]:
    """Trains one model in the peers' environment and takes over its ranks.

    Args:
        run: of the unit.
        seed: of the fit; it also says which tenth of the users is held out.
        unseen: whether those users are left out of the fit.
        minutes: how long each of its threads may compute in training.
        python: of the peers' environment.

    Raises:
        ConfigError: the environment is missing.
        TrainingError: the peer failed, or its ranks are not what our rule makes of its scores.
    """
    if not python.exists():
        raise ConfigError(
            f"The peers' environment is missing ({python}). Make it with: benchmarks/peers/setup.sh "
            "(RecTools cannot share ours: it asks for numpy below 2)."
        )
    bench = run.bench
    held = held_out_users(len(bench.whole), seed)
    asked = {
        protocol_name(k, warm=not unseen): unseen_cases(bench.whole, held, k, bench.split) for k in CONTEXT_LENGTHS
    }
    if not unseen:
        asked[WARM] = bench.cases
    asked = {protocol: cases for protocol, cases in asked.items() if len(cases)}
    folder = bench.work / bench.workspace.name / "peers" / f"{bench.split}-{run.unit.name}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    train = without_users(bench.train, held) if unseen else bench.train
    _hand_over(bench, folder, train, held if unseen else np.zeros(0, np.int64), asked, seed, minutes)
    done = subprocess.run([str(python), str(PEERS / "sasrec.py"), str(folder)], stdout=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        raise TrainingError(f"SASRec of RecTools ended with exit code {done.returncode}; its input is in {folder}.")
    training = json.loads((folder / "training.json").read_text())
    for protocol, cases in asked.items():
        run.save(_taken_over(bench, folder, protocol, cases, seed, training))
    shutil.rmtree(folder)
    return {"training": training}


def _hand_over(
    bench: Bench,
    folder: Path,
    train: Sequences,
    held: np.ndarray,
    asked: Mapping[str, Cases],
    seed: int,
    minutes: float,
) -> None:
    """Writes what the peer reads: training events, the validation event of some training users, cases."""
    chosen_by = validation_cases(bench.whole, bench.train)
    others = np.flatnonzero(~np.isin(chosen_by.users, held))
    chosen_by = chosen_by.take(np.sort(np.random.default_rng(seed).permutation(others)[:SELECTING_USERS]))
    trained = pl.DataFrame(
        {
            "user": train.owners,
            "item": train.items,
            "position": ragged_ranges(np.zeros(len(train), np.int64), train.lengths),
            "validation": np.zeros(len(train.items), dtype=bool),
        }
    )
    selecting = pl.DataFrame(
        {
            "user": chosen_by.users,
            "item": chosen_by.targets,
            "position": chosen_by.known,
            "validation": np.ones(len(chosen_by), dtype=bool),
        }
    )
    pl.concat([trained, selecting]).sort("user", "position").write_parquet(folder / "fit.parquet")
    for protocol, cases in asked.items():
        cases_frame(bench.whole, cases).write_parquet(folder / f"cases-{protocol}.parquet")
    length = 200 if np.median(bench.whole.lengths) >= LONG_HISTORIES else 50
    write_json(
        folder / "settings.json",
        {
            "seed": seed,
            "n_items": bench.catalogue.n_items,
            "repeats": bench.catalogue.repeats,
            "threads": bench.threads,
            "model": {**MODEL, "session_max_len": length},
            "training": {**TRAINING, "seconds": minutes * 60 * bench.threads},
        },
    )


def cases_frame(whole: Sequences, cases: Cases) -> pl.DataFrame:
    """Cases as a peer reads them: case, items (a list, oldest first) and target."""
    events = whole.items[ragged_ranges(whole.offsets[:-1][cases.users], cases.known)]
    known = pl.DataFrame({"case": np.repeat(np.arange(len(cases)), cases.known), "items": events})
    lists = known.group_by("case", maintain_order=True).agg("items")
    every = pl.DataFrame({"case": np.arange(len(cases)), "target": cases.targets})
    joined = every.join(lists, on="case", how="left", maintain_order="left")
    return joined.with_columns(pl.col("items").fill_null(pl.lit([], dtype=pl.List(pl.Int64))))


def _taken_over(
    bench: Bench, folder: Path, protocol: str, cases: Cases, seed: int, training: Mapping[str, object]
) -> Arm:
    ranked = pl.read_parquet(folder / f"ranks-{protocol}.parquet").sort("case")
    if ranked.height != len(cases):
        raise TrainingError(f"SASRec of RecTools ranked {ranked.height} of {len(cases)} targets ({protocol}).")
    ranks = ranked["rank"].to_numpy()
    checked = ranked.filter(pl.col("scores").is_not_null())
    expected = own_ranks(np.stack(checked["scores"].to_list()), bench.whole, cases, bench.catalogue)
    if not np.array_equal(expected, ranks[: len(expected)]):
        raise TrainingError(
            f"The ranks of SASRec of RecTools are not what our tie rule makes of its scores ({protocol})."
        )
    losses = ranked["log_loss"].to_numpy().astype(np.float32)
    return Arm(SASREC, seed, ranks, losses, cases.users, protocol, notes={"training": dict(training)})


def own_ranks(scores: np.ndarray, whole: Sequences, cases: Cases, catalogue: Catalogue) -> np.ndarray:
    """(n,) ranks of the first n cases by our own rule, from their scores (n, n_items)."""
    few = cases.take(np.arange(len(scores)))
    masked = torch.zeros(len(few), catalogue.n_items, dtype=torch.bool)
    if not catalogue.repeats:
        columns = whole.items[ragged_ranges(whole.offsets[:-1][few.users], few.known)] - 1
        masked[np.repeat(np.arange(len(few)), few.known), columns] = True
    targets = torch.from_numpy(few.targets - 1)
    possible = ~masked.gather(1, targets[:, None])[:, 0].numpy()
    return np.where(possible, target_ranks(torch.from_numpy(scores), targets, masked), catalogue.n_items)
