"""What a batch costs for ever more users: seconds, the most memory, and the size of the model.

    .venv/bin/python benchmarks/growth.py

Each size has a workspace of its own with that many users in log and offline store, and the same untrained model of the
default configuration's shape. Its batch is `recsys batch --k 100`, once for one user (what starting costs) and once for
everybody; the cost of a user is what lies between. Results are committed (benchmarks/results/growth.json).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.load.model import register_default  # noqa: E402
from benchmarks.registry.versions import allow  # noqa: E402
from benchmarks.scale.running import Ran, run_measured  # noqa: E402
from benchmarks.stores.synthetic import append_users, make_workspace, user_name  # noqa: E402
from benchmarks.units.arguments import parsed  # noqa: E402
from benchmarks.units.files import stamp, write_json  # noqa: E402
from recsys.context.folding import RowFolder  # noqa: E402
from recsys.context.store import FeatureStoreAdapter  # noqa: E402
from recsys.context.user_store import UserStore  # noqa: E402
from recsys.data.catalogue import Catalogue  # noqa: E402
from recsys.data.schema import WorkspaceSchema  # noqa: E402
from recsys.events.lease import FoldLease, maintenance  # noqa: E402
from recsys.events.log import EventLog  # noqa: E402
from recsys.jobs.materialise import CUTS  # noqa: E402
from recsys.registry.champion import champion  # noqa: E402
from recsys.registry.promotion import promote  # noqa: E402
from recsys.workspace import HOME_VARIABLE, Workspace  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "growth.json"
NAME = "growth"
FIRST_USERS = 1_000
SIZES = (1_000, 10_000, 100_000, 1_000_000)
K = 100


def main() -> None:
    """Measures each size and writes the curve."""
    asked = _arguments()
    runs: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(dir=asked.work, prefix="recsys-growth-") as folder:
        for users in asked.sizes:
            home = Path(folder) / str(users)
            runs.append(_measured(home, users, asked.events))
            print(json.dumps(runs[-1]), flush=True)
            shutil.rmtree(home)
    for run in runs:
        run["cost_of_a_user_to_the_last"] = round(run["milliseconds_a_user"] / runs[-1]["milliseconds_a_user"], 3)
    write_json(asked.out, {**stamp("growth.py", asked.load), "events_each": asked.events, "k": K, "runs": runs})


def _made(home: Path, users: int, events: int) -> Workspace:
    """A champion over the items of the first thousand users; then come the others."""
    workspace, schema = make_workspace(home, NAME)
    Catalogue.empty(schema).save(workspace)
    append_users(EventLog(workspace.event_log), 0, FIRST_USERS, events)
    _build(workspace, schema)
    promote(workspace, register_default(workspace), by="growth", judge=allow)
    if users > FIRST_USERS:
        append_users(EventLog(workspace.event_log), FIRST_USERS, users - FIRST_USERS, events, seed=1)
        _build(workspace, schema)
    return workspace


def _build(workspace: Workspace, schema: WorkspaceSchema) -> None:
    """Offline rows of everybody; a batch reads no others."""
    features = FeatureStoreAdapter(workspace, schema)
    features.apply()
    lease = FoldLease(workspace.event_log)
    with maintenance(lease, "measure") as token:
        chunks = RowFolder.of(workspace, schema).chunks(CUTS)
        UserStore(features).write_offline(chunks, partial(lease.guarded, token))


def _measured(home: Path, users: int, events: int) -> dict[str, Any]:
    workspace = _made(home, users, events)
    one = home / "one.txt"
    one.write_text(user_name(0) + "\n")
    started = _batch(home, "one", "--users", str(one))
    everybody = _batch(home, "everybody")
    made = json.loads(everybody.said.splitlines()[-1])
    if made["users"] != users:
        raise SystemExit(f"{made['users']} users in a batch for {users}")
    seconds = everybody.seconds - started.seconds
    return {
        "users": users,
        "rows": made["rows"],
        "seconds": round(everybody.seconds, 1),
        "seconds_for_one": round(started.seconds, 1),
        "milliseconds_a_user": round(1_000 * seconds / users, 4),
        "users_a_second": round(users / seconds, 1),
        "peak_gigabytes": round(everybody.peak_bytes / 1e9, 3),
        "model_bytes": sum(file.stat().st_size for file in champion(workspace).folder.rglob("*") if file.is_file()),
    }


def _batch(home: Path, out: str, *more: str) -> Ran:
    command = [sys.executable, "-m", "recsys", "batch", "--workspace", NAME, "--k", str(K), "--json"]
    return run_measured([*command, "--out", str(home / out), *more], {**os.environ, HOME_VARIABLE: str(home)})


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", type=lambda text: tuple(map(int, text.split(","))), default=SIZES)
    parser.add_argument("--events", type=int, default=20, help="of each user")
    parser.add_argument("--work", type=Path, default=None, help="a folder with room for the workspaces")
    return parsed(parser, RESULTS)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
