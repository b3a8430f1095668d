"""Ours and RecTools' SASRec on their way to one quality: what each is handed, who arrives, how many times as fast."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.speed.data import FIT, SETTINGS, frame_of
from benchmarks.units.files import write_json
from benchmarks.units.peers import LONG_HISTORIES, MODEL, PEERS, VENV, cases_frame, own_ranks
from recsys.errors import TrainingError
from recsys.evaluation.cases import Catalogue, leave_one_out_cases
from recsys.evaluation.workspace_protocol import training_sequences_of
from recsys.metrics.ranking import ndcg
from recsys.training.dataset import Dataset
from recsys.workspace import Workspace

WAYS = ("memory", "body", "model")
COUNTS = "memory"
"""The way that is held to the bar: a memory alone can be served. The others are reported beside it."""
BAR = 20.0
LEAST_CAP_MINUTES = 20.0
"""A peer is given so long at least, and else the bar's multiple of our fastest way."""
_PROGRAM = Path(__file__).resolve().parent / "reaching.py"
_CUTOFF = 10


def race(
    workspace: Workspace,
    work: Path,
    *,
    target: float,
    threads: int,
    budget: float,
    peer_minutes: float | None,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Ours by every way, then the peer, one after the other.

    Args:
        workspace: whose data.
        work: for the programs' folders.
        target: NDCG@10 on validation.
        threads: of each program.
        budget: seconds of the way `model`.
        peer_minutes: the peer's cap; None: as `cap_of` says.
        say: told what happens.

    Raises:
        TrainingError: the peer's program failed, or its ranks are not what our tie rule makes of its scores.
    """
    dataset = Dataset.load(workspace)
    shared = {"target": target, "threads": threads}
    ours = {}
    for way in WAYS:
        say(f"ours, {way}:")
        own = {"way": way, "home": str(workspace.home), "workspace": workspace.name, "budget": budget}
        settings = {**shared, **own, "cap_seconds": 3_600.0}
        ours[way] = _or_why_not([sys.executable, str(_PROGRAM)], work / f"ours-{way}", settings)
    fastest = min((one["reached_seconds"] for one in ours.values() if one["reached_seconds"]), default=None)
    cap = 60 * peer_minutes if peer_minutes is not None else cap_of(fastest)
    say(f"RecTools' SASRec, for {cap / 60:.0f} minutes of training at most:")
    theirs = _peer(dataset, work / "peer", {**shared, "cap_seconds": cap})
    return {
        "target": target,
        "threads": threads,
        "ours": ours,
        "theirs": {**theirs, "cap_seconds": cap},
        "times_as_fast": {way: times_as_fast(one, theirs, cap) for way, one in ours.items()},
        "bar": judged(times_as_fast(ours[COUNTS], theirs, cap)),
    }


def cap_of(fastest: float | None) -> float:
    """Seconds of training that a peer is given.

    Args:
        fastest: seconds of our fastest way; None: none arrived.
    """
    return max(60 * LEAST_CAP_MINUTES, BAR * (fastest or 0.0))


def times_as_fast(ours: Mapping[str, Any], theirs: Mapping[str, Any], cap: float) -> dict[str, Any] | None:
    """The ratio of the seconds; at least that of the cap where the peer did not arrive. None: ours did not.

    Args:
        ours: of one way.
        theirs: of the peer.
        cap: seconds that the peer was given.
    """
    own, peer = ours["reached_seconds"], theirs["reached_seconds"]
    if own is None:
        return None
    ratio = (cap if peer is None else peer) / own
    return {"ratio": round(ratio, 1), "at_least": peer is None}


def judged(ratio: Mapping[str, Any] | None) -> dict[str, Any]:
    """Whether the way that counts meets the bar.

    Args:
        ratio: what `times_as_fast` gives for it; None: it did not arrive, and does not meet it.
    """
    return {"bar": BAR, "way": COUNTS, **(ratio or {"ratio": None}), "met": ratio is not None and ratio["ratio"] >= BAR}


def _peer(dataset: Dataset, folder: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    whole = dataset.sequences
    catalogue = Catalogue(len(dataset.vocabulary), dataset.schema.repeats)
    cases = leave_one_out_cases(whole, "validation")
    model = {**MODEL, "session_max_len": 200 if np.median(whole.lengths) >= LONG_HISTORIES else 50}
    told = {"seed": 0, "n_items": catalogue.n_items, "repeats": catalogue.repeats, "model": model}

    def hand_over(into: Path) -> None:
        frame_of(training_sequences_of(dataset)).write_parquet(into / FIT)
        cases_frame(whole, cases).write_parquet(into / "cases-validation.parquet")

    command = [str(VENV / "bin" / "python"), str(PEERS / "sasrec_reaching.py")]
    found = _run(command, folder, {**settings, **told}, hand_over)
    ranked = pl.read_parquet(folder / "ranks-validation.parquet").sort("case")
    checked = ranked.filter(pl.col("scores").is_not_null())
    expected = own_ranks(np.stack(checked["scores"].to_list()), whole, cases, catalogue)
    ranks = ranked["rank"].to_numpy()
    if len(ranks) != len(cases) or not np.array_equal(expected, ranks[: len(expected)]):
        raise TrainingError("The ranks of SASRec of RecTools are not what our tie rule makes of its scores.")
    if abs(float(ndcg(ranks, _CUTOFF).mean()) - found["curve"][-1]["ndcg@10"]) > 1e-9:
        raise TrainingError("The NDCG that SASRec of RecTools was stopped by is not that of its ranks.")
    return {**found, "model": model}


def _or_why_not(command: list[str], folder: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """A way of ours that failed did not arrive; the others go on."""
    try:
        return _run(command, folder, settings)
    except TrainingError as error:
        return {"failed": str(error), "reached_seconds": None, "curve": []}


def _run(
    command: list[str],
    folder: Path,
    settings: Mapping[str, Any],
    hand_over: Callable[[Path], None] = lambda _: None,
) -> dict[str, Any]:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write_json(folder / SETTINGS, settings)
    hand_over(folder)
    environment = {**os.environ, "OMP_NUM_THREADS": str(settings["threads"])}
    done = subprocess.run([*command, str(folder)], stdout=subprocess.DEVNULL, env=environment, check=False)
    if done.returncode != 0:
        raise TrainingError(f"{Path(command[-1]).name} ({folder.name}) ended with exit code {done.returncode}.")
    found: dict[str, Any] = json.loads((folder / "reached.json").read_text())
    return found
