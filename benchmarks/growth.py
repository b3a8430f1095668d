"""What a batch costs for ever more users: processor and wall seconds, the most memory, and the size of the model.

    .venv/bin/python benchmarks/growth.py

Each size has a workspace of its own with that many users in log and offline store and the same items, all of which one
user has touched; then an untrained model of the default configuration is registered, whose size depends on the items
alone. Its batch is `recsys batch --k 100` for everybody. What starting costs is the smallest workspace's batch for one
user; what lies between is the users'. The two smallest sizes are measured three times; the median counts. One partition
takes one actor, so that wall seconds of the smallest size say nothing about the others: processor seconds do, of the
command and every process it started. Results are committed (benchmarks/results/growth.json).
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.load.model import register_default  # noqa: E402
from benchmarks.registry.versions import allow  # noqa: E402
from benchmarks.scale.running import Ran, run_measured  # noqa: E402
from benchmarks.stores.synthetic import append_distinct, append_users, make_workspace, user_name  # noqa: E402
from benchmarks.units.arguments import numbers, parsed  # noqa: E402
from benchmarks.units.files import stamp, write_json  # noqa: E402
from recsys.context.folding import RowFolder  # noqa: E402
from recsys.context.store import FeatureStoreAdapter  # noqa: E402
from recsys.context.user_store import UserStore  # noqa: E402
from recsys.data.catalogue import Catalogue  # noqa: E402
from recsys.events.lease import FoldLease, maintenance  # noqa: E402
from recsys.events.log import EventLog  # noqa: E402
from recsys.jobs.materialise import CUTS  # noqa: E402
from recsys.registry.champion import champion  # noqa: E402
from recsys.registry.promotion import promote  # noqa: E402
from recsys.workspace import HOME_VARIABLE, Workspace  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "growth.json"
NAME = "growth"
SIZES = (1_000, 10_000, 100_000, 1_000_000)
REPEATED = 2
TIMES = 3
LINEAR_FROM = 10_000
"""Users from which on the costs of a user are compared: fewer are not enough for two actors."""
BAR = 0.1
K = 100


def main() -> None:
    """Measures each size and writes the curve."""
    asked = _arguments()
    runs: list[dict[str, Any]] = []
    start: dict[str, float] = {}
    with _folder(asked) as folder:
        sizes = sorted(asked.sizes)
        if asked.make_only:
            for users in sizes:
                _made(folder, users, asked)
            return
        for place, users in enumerate(sizes):
            home, times = _made(folder, users, asked), TIMES if place < REPEATED else 1
            if not place:
                one = home / "one.txt"
                one.write_text(user_name(0) + "\n")
                start = taken([_batch(home, f"one-{n}", "--users", str(one)) for n in range(times)])
            run = _measured(home, users, times, start)
            runs.append(run | further(run, runs[-1] if runs else None))
            print(json.dumps(runs[-1]), flush=True)
            shutil.rmtree(home)
            _write(asked, start, runs)


def _write(asked: argparse.Namespace, start: dict[str, float], runs: list[dict[str, Any]]) -> None:
    """All sizes so far: the largest takes as long as all others together."""
    write_json(
        asked.out,
        {
            **stamp("growth.py", asked.load),
            "events_each": asked.events,
            "items": asked.items,
            "k": K,
            "starting": start,
            "runs": runs,
            "bar": judged(runs),
        },
    )


@contextmanager
def _folder(asked: argparse.Namespace) -> Iterator[Path]:
    """Where workspaces lie: in a folder that stays, or in one that goes in the end."""
    if asked.made is not None:
        asked.made.mkdir(parents=True, exist_ok=True)
        yield asked.made.absolute()
        return
    with tempfile.TemporaryDirectory(dir=asked.work, prefix="recsys-growth-") as folder:
        yield Path(folder)


def _made(folder: Path, users: int, asked: argparse.Namespace) -> Path:
    """The home of a workspace of that many users, made anew where it is not there whole."""
    home = folder / f"{users}-users-{asked.events}-events-{asked.items}-items"
    whole = home / "whole"
    if not whole.is_file():
        shutil.rmtree(home, ignore_errors=True)
        # By itself, so that what making it takes is given back before anything is measured.
        making = multiprocessing.get_context("spawn").Process(target=make, args=(home, users, asked))
        making.start()
        making.join()
        if making.exitcode:
            raise SystemExit(f"making a workspace of {users} users ended with code {making.exitcode}")
        whole.touch()
    return home


def make(home: Path, users: int, asked: argparse.Namespace) -> None:
    """A workspace of that many users, everybody's offline rows, and then a champion."""
    workspace, schema = make_workspace(home, NAME)
    Catalogue.empty(schema).save(workspace)
    log = EventLog(workspace.event_log)
    append_distinct(log, "who-knows-all", asked.items)
    append_users(log, 0, users - 1, asked.events, items=asked.items)
    features = FeatureStoreAdapter(workspace, schema)
    features.apply()
    lease = FoldLease(workspace.event_log)
    with maintenance(lease, "measure") as token:
        chunks = RowFolder.of(workspace, schema).chunks(CUTS)
        UserStore(features).write_offline(chunks, partial(lease.guarded, token))
    promote(workspace, register_default(workspace), by="growth", judge=allow)


def taken(runs: Sequence[Ran]) -> dict[str, float]:
    """Medians of what a command took."""
    return {
        "seconds": round(median(run.seconds for run in runs), 2),
        "processor_seconds": round(median(run.processor_seconds for run in runs), 2),
    }


def further(run: dict[str, Any], smaller: dict[str, Any] | None) -> dict[str, float]:
    """Processor time of each user that a size has more than the one before: nothing of what starting costs is in it."""
    if smaller is None:
        return {}
    more = run["processor_seconds"] - smaller["processor_seconds"]
    return {"processor_milliseconds_a_further_user": round(1_000 * more / (run["users"] - smaller["users"]), 4)}


def judged(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Whether a user's processor time is the same at all sizes that keep two actors busy, and the model's size at all.

    Args:
        runs: one a size.
    """
    costs = [run["processor_milliseconds_a_user"] for run in runs if run["users"] >= LINEAR_FROM]
    spread = max(costs) / min(costs) - 1 if len(costs) > 1 else None
    sizes = {run["model_bytes"] for run in runs}
    return {
        "bar": BAR,
        "of_sizes_from": LINEAR_FROM,
        "dearest_user_to_cheapest": None if spread is None else round(1 + spread, 3),
        "within_10_percent": None if spread is None else spread <= BAR,
        "model_bytes_largest_to_smallest": round(max(sizes) / min(sizes), 5),
    }


def _measured(home: Path, users: int, times: int, start: dict[str, float]) -> dict[str, Any]:
    ran = [_batch(home, f"everybody-{n}") for n in range(times)]
    made = json.loads(ran[0].said.splitlines()[-1])
    if made["users"] != users:
        raise SystemExit(f"{made['users']} users in a batch for {users}")
    workspace, took = Workspace(NAME, home), taken(ran)
    seconds = took["seconds"] - start["seconds"]
    return {
        "users": users,
        "rows": made["rows"],
        "times": times,
        **took,
        "processor_milliseconds_a_user": round(
            1_000 * (took["processor_seconds"] - start["processor_seconds"]) / users, 4
        ),
        "milliseconds_a_user": round(1_000 * seconds / users, 4),
        "users_a_second": round(users / took["seconds"], 1),
        "peak_gigabytes": round(max(run.peak_bytes for run in ran) / 1e9, 3),
        "gigabytes_at_most": round(max(run.bytes_at_most for run in ran) / 1e9, 3),
        "model_bytes": _bytes_in(champion(workspace).folder),
        "log_bytes": _bytes_in(workspace.event_log.parent),
        "offline_bytes": _bytes_in(workspace.feature_store),
        "list_bytes": _bytes_in(home / "everybody-0"),
    }


def _bytes_in(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _batch(home: Path, out: str, *more: str) -> Ran:
    command = [sys.executable, "-m", "recsys", "batch", "--workspace", NAME, "--k", str(K), "--json"]
    return run_measured([*command, "--out", str(home / out), *more], {**os.environ, HOME_VARIABLE: str(home)})


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", type=numbers, default=SIZES)
    parser.add_argument("--events", type=int, default=20, help="of each user")
    parser.add_argument("--items", type=int, default=2_000, help="of every size")
    parser.add_argument("--work", type=Path, default=None, help="a folder with room for the workspaces")
    parser.add_argument("--made", type=Path, help="a folder of workspaces made before; each goes when it was measured")
    parser.add_argument("--make-only", action="store_true", help="make workspaces in --made and measure nothing")
    asked = parsed(parser, RESULTS)
    if asked.make_only and asked.made is None:
        parser.error("--make-only needs --made")
    return asked


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
