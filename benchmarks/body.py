"""Measures how fast the body trains beside SASRec of RecTools and RecBole, and how soon a quality is reached.

    benchmarks/peers/setup.sh
    .venv/bin/python benchmarks/body.py --data DIR                       # DIR holds events.parquet
    .venv/bin/python benchmarks/body.py --data DIR --part speed --rounds 1 --seconds 5 --users 300

Two parts, each with a result of its own in benchmarks/results/body.json: `speed` (targets a second at equal width,
depth, length and loss, in rounds of one process each) and `quality` (seconds of training to an NDCG@10 on validation,
full ranking). Give it a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.speed.contestants import BARS, Contestant, contestants, shape  # noqa: E402
from benchmarks.speed.data import FIT, frame_of, sample, targets_of, workspace_of  # noqa: E402
from benchmarks.speed.racing import race  # noqa: E402
from benchmarks.speed.rounds import held_to, run_in_folder, summed_up, take_turns  # noqa: E402
from benchmarks.units.files import read_json, stamp, write_json  # noqa: E402
from benchmarks.units.peers import VENV  # noqa: E402
from recsys.evaluation.workspace_protocol import training_sequences_of  # noqa: E402
from recsys.training.dataset import Dataset  # noqa: E402
from recsys.workspace import Workspace  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "body.json"
PARTS = ("speed", "quality")


def main() -> None:
    """Measures what is asked for and writes it beside what was there."""
    asked = _arguments()
    workspace = workspace_of(asked.data, asked.work)
    for part in asked.parts:
        load = round(os.getloadavg()[0], 2)
        figures = _speed(workspace, asked) if part == "speed" else _quality(workspace, asked)
        entry = {**stamp("body.py", load), "workspace": workspace.name, "figures": figures}
        write_json(asked.out, {**(read_json(asked.out) or {}), part: entry})
    print(f"written to {asked.out}")


def _speed(workspace: Workspace, asked: argparse.Namespace) -> dict[str, Any]:
    dataset = Dataset.load(workspace)
    sequences = sample(training_sequences_of(dataset), asked.users, seed=0)
    fit, n_items = asked.work / "speed" / FIT, len(dataset.vocabulary)
    fit.parent.mkdir(parents=True, exist_ok=True)
    frame_of(sequences).write_parquet(fit)
    shared = {"threads": asked.threads, "seconds": asked.seconds, "n_items": n_items}

    def run(own: Contestant) -> dict[str, Any]:
        return run_in_folder(own, shared, fit, asked.work / "speed" / own.team, asked.minutes)

    everybody = [own for own in contestants(n_items) if asked.only in own.name]
    measured = take_turns(everybody, asked.rounds, run, say=lambda line: print(line, flush=True))
    entries = summed_up(everybody, measured)
    held = [held_to(bar, entries) for bar in BARS]
    for one in held:
        print(f"{one['ratio']} times {one['peer']} ({one['loss']}, bar {one.get('bar', 'none')})", flush=True)
    return {
        "users": len(sequences),
        "targets_of_an_epoch_of_ours": targets_of(sequences),
        "shape": shape(),
        **shared,
        "rounds": asked.rounds,
        "contestants": entries,
        "bars": held,
    }


def _quality(workspace: Workspace, asked: argparse.Namespace) -> dict[str, Any]:
    found = race(
        workspace,
        asked.work / "quality",
        target=asked.target,
        threads=asked.threads,
        budget=asked.budget,
        peer_minutes=asked.peer_minutes,
        say=lambda line: print(line, flush=True),
    )
    print(f"bar: {found['bar']}", flush=True)
    for way, ratio in found["times_as_fast"].items():
        print(f"{way}: {'not reached' if ratio is None else ratio}", flush=True)
    return found


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="a folder that `recsys data import` takes")
    parser.add_argument("--part", dest="parts", action="append", choices=PARTS, help="only this one")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of every program")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=30.0, help="timed of a contestant in a round, at least")
    parser.add_argument("--minutes", type=float, default=15.0, help="after which a contestant is stopped")
    parser.add_argument("--users", type=int, default=1_500, help="drawn at random for part speed; 0: all")
    parser.add_argument("--only", default="", help="contestants of part speed whose name holds this, for a try")
    parser.add_argument("--target", type=float, default=0.165, help="NDCG@10 of part quality")
    parser.add_argument("--budget", type=float, default=120.0, help="seconds of the way `model`")
    parser.add_argument("--peer-minutes", type=float, help="the peer's cap; else 20, or 20 times our fastest way")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "speed")
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args()
    asked.parts = asked.parts or list(PARTS)
    asked.work = asked.work.absolute()
    if not VENV.is_dir():
        parser.error("the peers' environment is missing; make it with: benchmarks/peers/setup.sh")
    return asked


if __name__ == "__main__":
    main()
