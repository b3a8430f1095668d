"""Measures how long a snapshot takes to load, beside reading its bytes: checked, mapped, built, first answer.

    .venv/bin/python benchmarks/snapshots.py --workspace ml-1m

The workspace's champion, or its latest version, is loaded in fresh processes, its files in the page cache. Results are
committed (benchmarks/results/snapshots.json). Give it a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.units.arguments import parsed  # noqa: E402
from benchmarks.units.files import read_json, stamp, write_json  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "snapshots.json"

_MEASURE = """
import json, sys, time
from pathlib import Path
import torch
torch.set_num_threads(1)
from recsys.context.batch import FeatureRow
from recsys.registry.loading import load_recommender
from recsys.registry.manifest import FILES
from recsys.registry.snapshot import load_snapshot

folder = Path(sys.argv[1])

def resident():
    told = [line.split() for line in open("/proc/self/status") if line.startswith("Rss")]
    return {words[0].rstrip(":"): int(words[1]) / 1024 for words in told}

def timed(work):
    wall, cpu = time.perf_counter(), time.process_time()
    made = work()
    return made, {"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu}

_, warm = timed(lambda: sum(len((folder / name).read_bytes()) for name in FILES))
size, read = timed(lambda: sum(len((folder / name).read_bytes()) for name in FILES))
before = resident()
snapshot, checked = timed(lambda: load_snapshot(folder))
recommender, built = timed(lambda: load_recommender(snapshot, "1"))
_, first = timed(lambda: recommender.recommend([FeatureRow(user_id=None)], k=10))
after = resident()
print(json.dumps({
    "bytes": size, "read": read, "checked_and_mapped": checked, "built": built, "first_answer": first,
    "anonymous_mb": after["RssAnon"] - before["RssAnon"], "mapped_mb": after["RssFile"] - before["RssFile"],
    "items": len(recommender.vocabulary), "experts": list(recommender.model.network.names),
}))
"""


def main() -> None:
    """Measures and writes the result beside those of other workspaces."""
    asked = _arguments()
    runs = [_run(_folder(asked.workspace)) for _ in range(asked.repeats)]
    figures: dict[str, Any] = {name: runs[0][name] for name in ("bytes", "items", "experts")}
    for name in ("read", "checked_and_mapped", "built", "first_answer"):
        for unit in ("seconds", "cpu_seconds"):
            figures.setdefault(name, {})[unit] = round(median(run[name][unit] for run in runs), 4)
    for name in ("anonymous_mb", "mapped_mb"):
        figures[name] = round(median(run[name] for run in runs), 1)
    loading = {
        unit: figures["checked_and_mapped"][unit] + figures["built"][unit] for unit in ("seconds", "cpu_seconds")
    }
    figures["load"] = {unit: round(value, 4) for unit, value in loading.items()}
    figures["ratio_of_load_to_reading_the_bytes"] = round(loading["seconds"] / figures["read"]["seconds"], 2)
    figures["runs"] = asked.repeats
    stamped = {**stamp("snapshots.py", asked.load), "figures": figures}
    write_json(asked.out, {**(read_json(asked.out) or {}), asked.workspace: stamped})
    print(f"loads in {figures['load']['seconds']:.2f} s ({figures['load']['cpu_seconds']:.2f} s of one core)")


def _folder(name: str) -> Path:
    from recsys.registry.chosen import chosen_version
    from recsys.workspace import Workspace

    return chosen_version(Workspace.existing(name), None).snapshot.folder


def _run(folder: Path) -> dict[str, Any]:
    command = [sys.executable, "-c", _MEASURE, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--workspace", default="ml-1m", help="one in $RECSYS_HOME with a registered version")
    parser.add_argument("--repeats", type=int, default=5, help="processes; figures are medians")
    return parsed(parser, RESULTS)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
