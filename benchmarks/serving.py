"""Measures the service: latency, rate beside a no-op, generated beside shared heads, start, memory, a million items.

    .venv/bin/python benchmarks/serving.py --home DIR --workspace NAME

The workspace is copied, the original is only read. Without a champion in it an untrained model of the default
configuration answers: it costs as much as a trained one, and `trained` says which it was. Results are committed
(benchmarks/results/serving.json).
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.load.arrivals import Population  # noqa: E402
from benchmarks.load.measuring import highest_rate, measure_effect, measure_heads, measure_mix  # noqa: E402
from benchmarks.load.million import ITEMS, measure_million  # noqa: E402
from benchmarks.load.model import is_trained, register_default  # noqa: E402
from benchmarks.load.table import printed  # noqa: E402
from benchmarks.registry.flipping import resident_mb  # noqa: E402
from benchmarks.registry.versions import allow  # noqa: E402
from benchmarks.units.arguments import parsed  # noqa: E402
from benchmarks.units.files import stamp, write_json  # noqa: E402
from recsys.context.reader import FeastReader  # noqa: E402
from recsys.events.log import EventLog  # noqa: E402
from recsys.jobs.materialise import materialise  # noqa: E402
from recsys.registry.champion import opened_champion  # noqa: E402
from recsys.registry.loading import load_recommender  # noqa: E402
from recsys.registry.promotion import promote  # noqa: E402
from recsys.serving.processes.process import ServerProcess  # noqa: E402
from recsys.workspace import HOME_VARIABLE, Workspace  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "serving.json"
IN_PROCESS_USERS = 300
FIRST_RATE, FIRST_NO_OP_RATE = 60.0, 400.0


def main() -> None:
    """Copies the workspace, serves it, measures, prints the table and writes the figures."""
    asked = _arguments()
    with tempfile.TemporaryDirectory(dir=asked.work, prefix="recsys-serving-") as folder:
        os.environ[HOME_VARIABLE] = folder
        workspace = _copied(asked.home, asked.workspace, Path(folder))
        figures = {"trained": _trained(workspace), **_asked_for(workspace, asked)}
    stamped = {**stamp("serving.py", asked.load), "load_after": round(os.getloadavg()[0], 2)}
    write_json(asked.out, {**stamped, "priority": os.getpriority(os.PRIO_PROCESS, 0), "figures": figures})
    print(figures if asked.mix_only or asked.million_only else printed(figures))
    print(f"load before {asked.load}, after {stamped['load_after']}; written to {asked.out}")


def _asked_for(workspace: Workspace, asked: argparse.Namespace) -> dict[str, Any]:
    if asked.mix_only:
        return _mix(workspace, asked)
    if asked.million_only:
        return _million(workspace, asked)
    return _measured(workspace, asked)


def _trained(workspace: Workspace) -> bool:
    _, snapshot = opened_champion(workspace)
    return is_trained(snapshot.lineage)


def _million(workspace: Workspace, asked: argparse.Namespace) -> dict[str, Any]:
    recommender, rows, _ = _in_process(workspace)
    return measure_million(recommender, rows, asked.items)


def _measured(workspace: Workspace, asked: argparse.Namespace) -> dict[str, Any]:
    recommender, rows, vocabulary = _in_process(workspace)
    users = EventLog(workspace.event_log).users(sys.maxsize)
    population = Population(sorted(users), vocabulary)
    heads = measure_heads(recommender, rows)
    del recommender
    started = time.perf_counter()
    service = ServerProcess.start(workspace, log=workspace.root / "serve.log")
    ready = time.perf_counter() - started
    try:
        memory_ready = resident_mb(service.process_id)
        warm_up = measure_mix(service.url, population, asked.rate, asked.warm_up)
        mix = measure_mix(service.url, population, asked.rate, asked.seconds)
        effect = measure_effect(service.url, population, asked.effects)
        highest = highest_rate(service.url, population.mix, FIRST_RATE, asked.step)
        no_op = highest_rate(service.url, population.no_op, FIRST_NO_OP_RATE, asked.step)
        memory = resident_mb(service.process_id)
    finally:
        code = service.stop()
    return {
        "users": len(users),
        "items": len(vocabulary),
        "seconds_to_ready": round(ready, 2),
        "memory_mb": {"ready": round(memory_ready), "after_everything": round(memory)},
        "warm_up": warm_up,
        "mix": mix,
        "event_to_changed_ranking": effect,
        "highest_rate": highest,
        "highest_rate_no_op": no_op,
        "highest_rate_ratio": round(highest["rate"] / no_op["rate"], 3) if no_op["rate"] else None,
        "heads_in_process": heads,
        "million_items": _million(workspace, asked) if asked.items else None,
        "service_ended_with": code,
    }


def _mix(workspace: Workspace, asked: argparse.Namespace) -> dict[str, Any]:
    """What any commit's service can be asked, for a comparison."""
    users = EventLog(workspace.event_log).users(sys.maxsize)
    items = EventLog(workspace.event_log).items()
    population = Population(sorted(users), sorted(items))
    service = ServerProcess.start(workspace, log=workspace.root / "serve.log")
    try:
        memory_ready = resident_mb(service.process_id)
        measure_mix(service.url, population, asked.rate, asked.warm_up)
        mix = measure_mix(service.url, population, asked.rate, asked.seconds)
        return {
            "mix": mix,
            "memory_mb": {"ready": round(memory_ready), "after": round(resident_mb(service.process_id))},
        }
    finally:
        service.stop()


def _in_process(workspace: Workspace) -> tuple[Any, list[Any], list[str]]:
    found, snapshot = opened_champion(workspace)
    reader = FeastReader(workspace, snapshot.schema)
    log = EventLog(workspace.event_log)
    rows = reader.online(sorted(log.users(sys.maxsize))[:IN_PROCESS_USERS])
    return load_recommender(snapshot, found.version), rows, list(snapshot.vocabulary)


def _copied(home: Path, name: str, target: Path) -> Workspace:
    """The workspace in another home, its features made anew there, with a champion."""
    shutil.copytree(home / name, target / name)
    workspace = Workspace(name=name, home=target)
    materialise(workspace, rebuild=True)
    if not (target / name / "champion.json").exists():
        promote(workspace, register_default(workspace), by="serving", judge=allow)
    return workspace


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--home", type=Path, required=True, help="the folder of the workspaces")
    parser.add_argument("--workspace", required=True, help="one with events, of the size that is to be measured")
    parser.add_argument("--rate", type=float, default=150.0, help="recommendations a second of the mix")
    parser.add_argument("--warm-up", type=float, default=40.0, help="seconds of the mix before it counts")
    parser.add_argument("--seconds", type=float, default=60.0, help="seconds of the mix that count")
    parser.add_argument("--step", type=float, default=8.0, help="seconds at each rate, in search of the highest")
    parser.add_argument("--effects", type=int, default=300, help="events whose effect is waited for")
    parser.add_argument("--mix-only", action="store_true", help="nothing but the mix, to compare commits")
    parser.add_argument("--million-only", action="store_true", help="nothing but the large catalogue, in this process")
    parser.add_argument("--items", type=int, default=ITEMS, help="of the large catalogue; 0 leaves it out")
    parser.add_argument("--work", type=Path, default=None, help="a folder with room for the copy")
    return parsed(parser, RESULTS)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
