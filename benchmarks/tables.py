"""Measures a step on a large embedding table: the fused table of the body's training beside plain torch's.

    .venv/bin/python benchmarks/tables.py

A step looks up, sends a gradient back and updates. All three tables get the same rows and gradients, in rounds that
take turns, in one process, with one thread and then with as many as there are cores. Results are committed
(benchmarks/results/tables.json).
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402
from torch import Tensor, distributed  # noqa: E402
from torch.distributed import HashStore  # type: ignore[attr-defined]  # noqa: E402

from benchmarks.speed.steps import DENSE, FUSED, MAKERS, SPARSE, Step  # noqa: E402
from benchmarks.stores.timing import Summary, summary  # noqa: E402
from benchmarks.units.arguments import numbers, parsed  # noqa: E402
from benchmarks.units.files import stamp, write_json  # noqa: E402
from recsys.allocator import keep_large_blocks  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "tables.json"
BAR = 5.0
OPTIMISERS = {
    FUSED: "row-wise Adagrad, fused: one moment a row (fused Adam is not there on a CPU)",
    SPARSE: "SparseAdam: two moments a number, rows that were looked up",
    DENSE: "Adam: two moments a number, every row",
}
Batch = tuple[Tensor, Tensor]
_THREADS = tuple(sorted({1, os.cpu_count() or 1}))


def main() -> None:
    """Measures and writes the result."""
    asked = _arguments()
    keep_large_blocks()
    distributed.init_process_group("gloo", store=HashStore(), rank=0, world_size=1)
    try:
        steps = {name: make(asked.rows, asked.width) for name, make in MAKERS.items()}
        by_threads = {}
        for threads in asked.threads:
            torch.set_num_threads(threads)
            by_threads[threads] = _compared(_take_turns(steps, asked))
            print(f"{threads} threads: {by_threads[threads]['times_as_fast_as']}", flush=True)
    finally:
        distributed.destroy_process_group()
    lowest = min(found["times_as_fast_as"][SPARSE] for found in by_threads.values())
    write_json(
        asked.out,
        {
            **stamp("tables.py", asked.load),
            "rows": asked.rows,
            "width": asked.width,
            "lookups": asked.lookups,
            "rounds": asked.rounds,
            "by_threads": {str(threads): found for threads, found in by_threads.items()},
            "bar": {"against": SPARSE, "bar": BAR, "ratio": lowest, "met": lowest >= BAR},
        },
    )


def _compared(seconds: dict[str, list[list[float]]]) -> dict[str, Any]:
    """What steps took, and how many times as fast the fused one is."""
    middle = {name: median([one for taken in rounds for one in taken]) for name, rounds in seconds.items()}
    return {
        "figures": {name: {"optimiser": OPTIMISERS[name], **_summed_up(taken)} for name, taken in seconds.items()},
        "times_as_fast_as": {name: round(middle[name] / middle[FUSED], 2) for name in (SPARSE, DENSE)},
    }


def _take_turns(steps: dict[str, Step], asked: argparse.Namespace) -> dict[str, list[list[float]]]:
    """Seconds of each step, by table and round; one round before them warms up."""
    generator = torch.Generator().manual_seed(0)
    seconds: dict[str, list[list[float]]] = {name: [] for name in steps}
    for number in range(asked.rounds + 1):
        batches = [_batch(asked, generator) for _ in range(asked.steps)]
        for name in steps if number % 2 == 0 else reversed(steps):
            own = batches[: asked.dense_steps] if name == DENSE else batches
            taken = [_timed(steps[name], batch) for batch in own]
            if number:
                seconds[name].append(taken)
    return seconds


def _batch(asked: argparse.Namespace, generator: torch.Generator) -> Batch:
    rows = torch.randint(asked.rows, (asked.lookups,), generator=generator)
    return rows, torch.randn(asked.lookups, asked.width, generator=generator)


def _timed(step: Step, batch: Batch) -> float:
    began = time.perf_counter()
    step(*batch)
    return time.perf_counter() - began


def _summed_up(rounds: Sequence[Sequence[float]]) -> dict[str, object]:
    found: Summary = summary([one for taken in rounds for one in taken])
    return {**found, "p50_ms_of_rounds": [round(median(taken) * 1_000, 4) for taken in rounds]}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--lookups", type=int, default=10_000, help="of a step, uniform over the rows")
    parser.add_argument("--threads", type=numbers, default=_THREADS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=100, help="of a table in a round")
    parser.add_argument("--dense-steps", type=int, default=10, help="of the dense one, whose step takes long")
    return parsed(parser, RESULTS)


if __name__ == "__main__":
    main()
