"""Measures one whole `recsys train`: seconds, the most memory its processes held, and validation figures.

    python benchmarks/training.py --home DIR --workspace ml-1m

`DIR` is a home (RECSYS_HOME) in which the workspace was imported and materialised. The result is committed
(benchmarks/results/training-WORKSPACE.json). Memory is the proportional set size of the command and of every process it
started, Ray's and its workers' included, summed twice a second: pages that several share count once.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.units.files import stamp, write_json  # noqa: E402

_PAUSE = 0.5


def main() -> None:
    """Trains and writes what it took."""
    asked = _arguments()
    command = [sys.executable, "-m", "recsys", "train", "--workspace", asked.workspace, "--json"]
    load, started = os.getloadavg()[0], time.monotonic()
    with tempfile.TemporaryFile("w+") as said:
        running = subprocess.Popen(command, stdout=said, env={**os.environ, "RECSYS_HOME": str(asked.home.resolve())})
        peak, processes = 0, 0
        while running.poll() is None:
            held, number = _memory(running.pid)
            if held > peak:
                peak, processes = held, number
            time.sleep(_PAUSE)
        seconds = time.monotonic() - started
        if running.returncode:
            sys.exit(f"recsys train ended with code {running.returncode}.")
        said.seek(0)
        result = json.load(said)
    write_json(
        asked.out or ROOT / "benchmarks" / "results" / f"training-{asked.workspace}.json",
        {
            **stamp("training.py", round(load, 2)),
            "seconds": round(seconds, 1),
            "peak_gigabytes": round(peak / 1e9, 3),
            "processes_at_peak": processes,
            "result": result,
        },
    )
    print(f"{seconds / 60:.1f} minutes, at most {peak / 1e9:.2f} GB in {processes} processes")


def _memory(pid: int) -> tuple[int, int]:
    """Bytes that a process and all below it hold, shared pages divided among their users, and how many they are."""
    held, number = 0, 0
    for process in _family(pid):
        try:
            held += process.memory_full_info().pss
            number += 1
        except psutil.Error:
            continue
    return held, number


def _family(pid: int) -> list[psutil.Process]:
    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.Error:
        return []


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--home", type=Path, required=True, help="RECSYS_HOME with the workspace in it")
    parser.add_argument("--workspace", required=True)
    parser.add_argument("--out", type=Path, default=None)
    return parser.parse_args()


if __name__ == "__main__":
    main()
