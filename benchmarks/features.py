"""Measures the feature store: reads, contention with Redis beside sqlite, freshness, the seen set, joins, growth.

    services/start.sh && .venv/bin/python benchmarks/features.py

Results are committed (benchmarks/results/features.json). Redis and PostgreSQL are found through
build/services/environment; without them their figures are missing. Give it a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.stores.contention import measure_contention  # noqa: E402
from benchmarks.stores.freshness import measure_freshness  # noqa: E402
from benchmarks.stores.growth import measure_growth  # noqa: E402
from benchmarks.stores.joining import measure_joins  # noqa: E402
from benchmarks.stores.reading import measure_reads, measure_seen  # noqa: E402
from benchmarks.stores.synthetic import append_users, make_workspace  # noqa: E402
from benchmarks.units.arguments import parsed  # noqa: E402
from benchmarks.units.files import read_json, stamp, write_json  # noqa: E402
from recsys.events.log import EventLog  # noqa: E402
from recsys.jobs.materialise import forget, materialise  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "features.json"
SERVICES = ROOT / "build" / "services" / "environment"
EVENTS_EACH = 200
UNITS = ("reads", "contention", "freshness", "seen", "joins", "growth")
SCALE = 'registry = "${RECSYS_TEST_REGISTRY}"\nonline_store = "${RECSYS_TEST_ONLINE_STORE}"\n'


def main() -> None:
    """Runs the units asked for and writes them into the results beside those that were there."""
    asked = _arguments()
    units = asked.unit or list(UNITS)
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(dir=asked.work, prefix="recsys-features-") as folder:
        if set(units) - {"growth"}:
            found = _measure_engines(Path(folder), units, asked)
    if "growth" in units:
        found["growth"] = measure_growth(asked.sizes, asked.work)
    stamped = stamp("features.py", asked.load)
    earlier = read_json(asked.out) or {}
    write_json(asked.out, {**earlier, **{unit: {**stamped, "figures": figures} for unit, figures in found.items()}})
    print(f"written to {asked.out}")


def _measure_engines(home: Path, units: list[str], asked: argparse.Namespace) -> dict[str, Any]:
    found: dict[str, Any] = {unit: {} for unit in units if unit != "growth"}
    for engine in ("sqlite", "redis") if _find_services() else ("sqlite",):
        print(f"{engine}: {asked.users:,} users with {EVENTS_EACH} events each", flush=True)
        workspace, schema = make_workspace(home, f"on-{engine}", SCALE if engine == "redis" else "")
        append_users(EventLog(workspace.event_log), 0, asked.users, EVENTS_EACH)
        materialise(workspace)
        try:
            if "reads" in units:
                found["reads"][engine] = measure_reads(workspace, schema, asked.users, asked.calls)
            if "contention" in units:
                found["contention"][engine] = measure_contention(workspace, asked.users, asked.seconds)
            if "freshness" in units:
                found["freshness"][engine] = measure_freshness(workspace, schema, asked.users, asked.calls // 4)
            if "seen" in units:
                found["seen"][engine] = measure_seen(workspace, schema)
            if "joins" in units and engine == "sqlite":  # offline rows are the same files on every engine
                found["joins"] = measure_joins(workspace, schema, asked.users, asked.moments, asked.shards)
        finally:
            forget(workspace)
    if "contention" in found and "redis" in found["contention"]:
        redis, sqlite = (found["contention"][engine]["reads"]["p99_ms"] for engine in ("redis", "sqlite"))
        found["contention"]["ratio_of_p99_redis_to_sqlite"] = round(redis / sqlite, 3)
    return found


def _find_services() -> bool:
    if SERVICES.is_file():
        for line in SERVICES.read_text().splitlines():
            name, _, value = line.partition("=")
            os.environ.setdefault(name, value)
    return "RECSYS_TEST_ONLINE_STORE" in os.environ


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--unit", action="append", choices=UNITS, help="one of the units, may repeat; all by default")
    parser.add_argument("--users", type=int, default=2_000, help=f"users with {EVENTS_EACH} events each")
    parser.add_argument("--calls", type=int, default=4_000, help="single reads that are timed")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long readers and a writer contend")
    parser.add_argument("--moments", type=int, default=200_000, help="past moments that are joined")
    parser.add_argument("--shards", type=int, default=8, help="into how many Ray tasks a join is split")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--work", type=Path, default=None, help="a folder with room for the workspaces")
    return parsed(parser, RESULTS)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
