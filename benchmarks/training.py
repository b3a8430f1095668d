"""Measures one whole `recsys train`: seconds, the most memory its processes held, and validation figures.

    python benchmarks/training.py --home DIR --workspace ml-1m

`DIR` is a home (RECSYS_HOME) in which the workspace was imported and materialised. The result is committed
(benchmarks/results/training-WORKSPACE.json). Memory is the proportional set size of the command and of every process it
started, Ray's and its workers' included, summed every two seconds: pages that several share count once.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.scale.running import run_measured  # noqa: E402
from benchmarks.units.files import stamp, write_json  # noqa: E402


def main() -> None:
    """Trains and writes what it took."""
    asked = _arguments()
    load = round(os.getloadavg()[0], 2)
    ran = run_measured(
        [sys.executable, "-m", "recsys", "train", "--workspace", asked.workspace, "--json"],
        {**os.environ, "RECSYS_HOME": str(asked.home.resolve())},
    )
    write_json(
        asked.out or ROOT / "benchmarks" / "results" / f"training-{asked.workspace}.json",
        {
            **stamp("training.py", load),
            "seconds": round(ran.seconds, 1),
            "peak_gigabytes": round(ran.peak_bytes / 1e9, 3),
            "processes_at_peak": ran.processes,
            "result": json.loads(ran.said),
        },
    )
    print(f"{ran.seconds / 60:.1f} minutes, at most {ran.peak_bytes / 1e9:.2f} GB in {ran.processes} processes")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--home", type=Path, required=True, help="RECSYS_HOME with the workspace in it")
    parser.add_argument("--workspace", required=True)
    parser.add_argument("--out", type=Path, default=None)
    return parser.parse_args()


if __name__ == "__main__":
    main()
