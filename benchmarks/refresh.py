"""Measures what new events cost the closed-form memories: counts that follow them beside counting everything again.

    .venv/bin/python benchmarks/refresh.py --workspace movielens-100k
    .venv/bin/python benchmarks/refresh.py --workspace ml-1m --data DIR     # DIR holds ml-1m/events.parquet

Results are committed (benchmarks/results/refresh.json), one entry a data set. The newest share of all events is new;
what was fitted before them is refreshed, and the same memory fitted from nothing on all events is the reference.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is first loaded

from benchmarks.units.arguments import parsed  # noqa: E402
from benchmarks.units.files import read_json, stamp, write_json  # noqa: E402
from recsys.context.sequences import Sequences  # noqa: E402
from recsys.data.importer import read_folder  # noqa: E402
from recsys.data.movielens import movielens_100k  # noqa: E402
from recsys.experts.changes import changes  # noqa: E402
from recsys.experts.long_term import LongTermConfig  # noqa: E402
from recsys.experts.memory import MemoryConfig  # noqa: E402
from recsys.experts.refresh import LongTermCounts, MemoryCounts  # noqa: E402
from recsys.jobs.ingest import ingest  # noqa: E402
from recsys.training.dataset import Dataset  # noqa: E402
from recsys.workspace import Workspace  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "refresh.json"
LOADED = "movielens-100k"
MEMORY, LONG_TERM = MemoryConfig(), LongTermConfig()
T = TypeVar("T")


def main() -> None:
    """Measures one data set and writes its entry beside those that were there."""
    asked = _arguments()
    sequences, n_items = _sequences(asked.workspace, asked.data)
    found = [_measure(sequences, n_items, share, asked.repeats) for share in asked.shares]
    entry = {
        **stamp("refresh.py", asked.load),
        "users": len(sequences),
        "items": n_items,
        "events": len(sequences.items),
        "figures": found,
    }
    write_json(asked.out, {**(read_json(asked.out) or {}), asked.workspace: entry})
    print(f"written to {asked.out}")


def _sequences(name: str, data: Path | None) -> tuple[Sequences, int]:
    with tempfile.TemporaryDirectory(prefix="recsys-refresh-") as folder:
        workspace = Workspace(name, Path(folder))
        ingest(workspace, movielens_100k() if name == LOADED else read_folder(data / name, None, existing=None))
        dataset = Dataset.load(workspace)
        return dataset.sequences, len(dataset.vocabulary)


def _measure(sequences: Sequences, n_items: int, share: float, repeats: int) -> dict[str, object]:
    newest = np.argsort(sequences.times, kind="stable")[-max(int(share * len(sequences.items)), 1) :]
    old = np.ones(len(sequences.items), dtype=bool)
    old[newest] = False
    before, same = sequences.keep(old), np.arange(n_items + 1)
    figures: dict[str, object] = {"share": share, "new_events": len(newest)}
    counts, together = MemoryCounts.of(before, n_items, MEMORY), LongTermCounts.of(before, n_items)
    compare, changed = _timed(lambda: changes(before, sequences), repeats)
    figures |= {"users_with_new_events": len(changed.after), "compare_seconds": compare}
    for name, kept, whole, solve in (
        ("memory", counts, lambda: MemoryCounts.of(sequences, n_items, MEMORY), lambda c: c.solve(MEMORY)),
        ("long_term", together, lambda: LongTermCounts.of(sequences, n_items), lambda c: c.solve(LONG_TERM)),
    ):
        count_seconds, counted = _timed(whole, repeats)
        refresh_seconds, refreshed = _timed(lambda kept=kept: kept.refresh(changed, same, n_items), repeats)
        solve_seconds, reference = _timed(lambda solve=solve, counted=counted: solve(counted), repeats)
        difference = float((solve(refreshed).weights - reference.weights).abs().max())
        figures[name] = {
            "count_all_seconds": count_seconds,
            "refresh_seconds": refresh_seconds,
            "solve_seconds": solve_seconds,
            "times_faster_without_the_solve": round(count_seconds / refresh_seconds, 1),
            "times_faster_with_the_solve": round(
                (count_seconds + solve_seconds) / (compare + refresh_seconds + solve_seconds), 2
            ),
            "largest_difference_of_a_weight": difference,
        }
    print(figures, flush=True)
    return figures


def _timed(work: Callable[[], T], repeats: int) -> tuple[float, T]:
    """The fastest of some runs, in seconds of this process's own time, and what it gave."""
    seconds, found = [], None
    for _ in range(repeats):
        started = time.process_time()
        found = work()
        seconds.append(time.process_time() - started)
    assert found is not None
    return round(min(seconds), 4), found


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--workspace", default=LOADED)
    parser.add_argument("--data", type=Path, help="the folder that holds the data sets' own folders")
    parser.add_argument("--shares", type=float, nargs="+", default=[0.001, 0.01, 0.1])
    parser.add_argument("--repeats", type=int, default=3)
    asked = parsed(parser, RESULTS)
    if asked.workspace != LOADED and asked.data is None:
        parser.error(f"--workspace {asked.workspace} needs --data; {LOADED} alone comes with the installed packages")
    return asked


if __name__ == "__main__":
    main()
