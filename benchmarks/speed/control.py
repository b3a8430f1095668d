"""What the machine itself gives to two processes: pure arithmetic, one thread each, alone and side by side.

    python benchmarks/speed/control.py matmul 5 1700000000.0

prints how often a second one process did it, from the given moment (seconds since 1970) on.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median

SIZE = 512
KINDS = ("matmul", "elementwise")
_START = 6.0
"""Seconds that processes have for importing torch before they begin together."""


def gained(kind: str, processes: int, seconds: float, rounds: int) -> dict[str, object]:
    """How many times as much several processes do as one.

    Args:
        kind: matmul (in the processor's caches) or elementwise (through memory).
        processes: how many side by side.
        seconds: of each measurement.
        rounds: of alone and together, taking turns.
    """
    alone, together = [], []
    for _ in range(rounds):
        alone.append(rate(kind, 1, seconds))
        together.append(rate(kind, processes, seconds))
    return {
        "alone_per_second": round(median(alone), 2),
        "together_per_second": round(median(together), 2),
        "times": round(median(together) / median(alone), 3),
    }


def rate(kind: str, processes: int, seconds: float) -> float:
    """How often a second so many processes do it, all added up."""
    begin = time.time() + _START
    command = [sys.executable, __file__, kind, str(seconds), str(begin)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) for _ in range(processes)]
    said = [one.communicate()[0] for one in running]
    return sum(float(one) for one in said)


def main(kind: str, seconds: float, begin: float) -> None:
    """One process's share."""
    import torch

    torch.set_num_threads(1)
    work = _work(kind)
    work()
    time.sleep(max(begin - time.time(), 0.0))
    done, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        work()
        done += 1
    print(done / (time.perf_counter() - began))


def _work(kind: str) -> Callable[[], object]:
    import torch

    if kind == "matmul":
        left, right, out = torch.randn(SIZE, SIZE), torch.randn(SIZE, SIZE), torch.empty(SIZE, SIZE)
        return lambda: torch.mm(left, right, out=out)
    numbers, out = torch.randn(16 * SIZE * SIZE), torch.empty(16 * SIZE * SIZE)
    return lambda: torch.add(numbers, 1.0, out=out)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), float(sys.argv[3]))
