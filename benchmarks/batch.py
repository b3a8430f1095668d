"""Measures recommending to everybody, beside libraries that do the same on the same cores.

    benchmarks/peers/setup.sh
    .venv/bin/python benchmarks/batch.py --home DIR --workspace ml-1m

The workspace (MovieLens-1M with a trained champion for the published figures) is copied, the original is only read.
Each peer is a process of its own environment and is asked in turns with ours. Results are committed
(benchmarks/results/batch.json); a unit that is run again replaces its own figures only.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is first loaded

from benchmarks.load.model import register_default  # noqa: E402
from benchmarks.registry.versions import allow  # noqa: E402
from benchmarks.scale.comparisons import COMPARISONS, Terms, compared  # noqa: E402
from benchmarks.scale.conditions import Conditions  # noqa: E402
from benchmarks.scale.job import measured_job  # noqa: E402
from benchmarks.scale.large import measured_large  # noqa: E402
from benchmarks.scale.thinning import thinned  # noqa: E402
from benchmarks.units.arguments import parsed  # noqa: E402
from benchmarks.units.files import read_json, stamp, write_json  # noqa: E402
from recsys.registry.champion import opened_champion  # noqa: E402
from recsys.registry.loading import load_recommender  # noqa: E402
from recsys.registry.promotion import promote  # noqa: E402
from recsys.training.dataset import Dataset  # noqa: E402
from recsys.workspace import HOME_VARIABLE, Workspace  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "batch.json"
THINNING, JOB, LARGE = "weights a row", "whole job", "large catalogue"
UNITS = (THINNING, *COMPARISONS, JOB, LARGE)


def main() -> None:
    """Measures the units asked for, writes each as it is done."""
    asked = _arguments()
    with tempfile.TemporaryDirectory(dir=asked.work, prefix="recsys-batch-") as folder:
        os.environ[HOME_VARIABLE] = folder
        workspace, trained = _copied(asked.home, asked.workspace, Path(folder))
        for name in asked.unit:
            load = round(os.getloadavg()[0], 2)
            figures = _measured(name, workspace, trained, asked)
            written = read_json(asked.out) or {}
            write_json(asked.out, {**written, name: {**stamp("batch.py", load), "figures": figures}})
            print(f"{name}: {figures}", flush=True)


def _measured(unit: str, workspace: Workspace, trained: bool, asked: argparse.Namespace) -> dict[str, Any]:
    found, snapshot = opened_champion(workspace)
    if unit == LARGE:
        return measured_large(found.folder, workspace, asked.large_items, asked.large_users, asked.k, asked.work)
    if unit == JOB:
        return measured_job(workspace, asked.k, workspace.home)
    recommender = load_recommender(snapshot, found.version)
    if unit == THINNING:
        dataset = Dataset.load(workspace, vocabulary=recommender.vocabulary)
        return thinned(recommender, dataset, snapshot.content_hash, trained=trained)
    known = (read_json(asked.out) or {}).get(THINNING, {}).get("figures", {})
    terms = Terms(
        threads=asked.threads,
        k=asked.k,
        users=asked.users,
        rounds=asked.rounds,
        conditions=Conditions.of(known, snapshot.content_hash, asked.top),
        cap=asked.cap,
    )
    return compared(COMPARISONS[unit], workspace, found.folder, recommender, terms)


def _copied(home: Path, name: str, target: Path) -> tuple[Workspace, bool]:
    """The workspace in another home, and whether its champion is a trained one; contexts are folded from the log."""
    for folder in (name, "mlflow"):
        if (home / folder).exists():
            shutil.copytree(home / folder, target / folder)
    workspace = Workspace(name=name, home=target)
    trained = (target / name / "champion.json").exists()
    if not trained:
        promote(workspace, register_default(workspace), by="batch", judge=allow)
    return workspace, trained


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--home", type=Path, required=True, help="the folder of the workspaces")
    parser.add_argument("--workspace", required=True, help="one with events and, best, a trained champion")
    parser.add_argument("--unit", nargs="+", choices=UNITS, help="some of it; all by default")
    parser.add_argument("--users", type=int, default=None, help="only so many users; all by default")
    parser.add_argument("--k", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5, help="turns that count")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="cores, for ours and for each peer")
    parser.add_argument("--top", type=int, default=None, help="weights a row of sparse memories; as found by default")
    parser.add_argument("--cap", type=float, default=900.0, help="seconds a peer is waited for")
    parser.add_argument("--large-items", type=int, default=100_000)
    parser.add_argument("--large-users", type=int, default=100_000)
    parser.add_argument("--work", type=Path, default=None, help="a folder with room for the copy")
    asked = parsed(parser, RESULTS)
    asked.unit = asked.unit or list(UNITS)
    return asked


if __name__ == "__main__":
    main()
