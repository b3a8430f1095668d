"""Trains and batches on two Ray nodes of this machine, and once more while one of them is killed.

    .venv/bin/python benchmarks/cluster.py

A killed node takes its worker, or its batch actor, with it. Training waits until another node has come (the benchmark
starts one, as an autoscaler would) and goes on from the last checkpoint; a batch goes on with what is left. Results are
committed (benchmarks/results/cluster.json).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.scale.data import drawn_events  # noqa: E402
from benchmarks.scale.nodes import Nodes  # noqa: E402
from benchmarks.units.arguments import parsed  # noqa: E402
from benchmarks.units.files import stamp, write_json  # noqa: E402
from recsys.workspace import HOME_VARIABLE  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "cluster.json"
NAME = "drawn"
_LOOK = 0.05
_MOST_SECONDS = 1_200.0


def main() -> None:
    """Makes the workspace, runs each job twice, writes the figures; ends with 1 where the second run differs."""
    asked = _arguments()
    with tempfile.TemporaryDirectory(dir=asked.work, prefix="recsys-cluster-") as folder:
        home = Path(folder)
        os.environ[HOME_VARIABLE] = str(home)
        data = home / "data"
        data.mkdir()
        drawn_events(asked.users, asked.items, asked.events).write_parquet(data / "events.parquet")
        _recsys("data", "import", str(data), "--workspace", NAME)
        with Nodes(home, ROOT) as nodes:
            nodes.add()
            nodes.add()
            os.environ |= nodes.settings
            figures = _measured(nodes, home, asked.epochs)
    write_json(asked.out, {**stamp("cluster.py", asked.load), "figures": figures})
    print(json.dumps(figures, indent=2))
    if not figures["batch"]["equal"] or figures["train"]["ndcg_difference"] > 0.01:
        sys.exit("A killed node changed the result.")


def _measured(nodes: Nodes, home: Path, epochs: int) -> dict[str, Any]:
    training = home / NAME / "training"

    def checkpointed() -> bool:
        return any(training.glob("*/body/checkpoints/checkpoint-*"))

    def replaced() -> None:
        nodes.kill_last()
        nodes.add()

    train = ["train", "--workspace", NAME, "--set", "workers=2", "--set", f"body_training.epochs={epochs}"]
    plain, plain_seconds = _run(train)
    _recsys("promote", "--workspace", NAME)
    killed, killed_seconds = _run(train, when=checkpointed, then=replaced)
    whole = [str(home / name) for name in ("whole", "interrupted")]
    batches = [["batch", "--workspace", NAME, "--k", "100", "--out", out] for out in whole]
    first, first_seconds = _run(batches[0])

    def one_is_there() -> bool:
        return any(Path(whole[1]).glob("*.parquet"))

    _, second_seconds = _run(batches[1], when=one_is_there, then=nodes.kill_last)
    ndcg = [run["metrics"]["validation"]["ndcg@10"] for run in (plain, killed)]
    return {
        "train": {
            "seconds": plain_seconds,
            "seconds_with_a_killed_node": killed_seconds,
            "ndcg@10": ndcg[0],
            "ndcg@10_with_a_killed_node": ndcg[1],
            "ndcg_difference": abs(ndcg[1] / ndcg[0] - 1),
        },
        "batch": {
            "users": first["users"],
            "rows": first["rows"],
            "seconds": first_seconds,
            "seconds_with_a_killed_node": second_seconds,
            "equal": _rows(whole[0]).equals(_rows(whole[1])),
        },
    }


def _rows(folder: str) -> pl.DataFrame:
    return pl.read_parquet(f"{folder}/*.parquet").sort("user_id", "rank").drop("as_of")


def _run(
    arguments: list[str], when: Callable[[], bool] | None = None, then: Callable[[], None] = lambda: None
) -> tuple[dict[str, Any], float]:
    """Runs a command to its end; `then` is done once, as soon as `when` holds.

    Raises:
        RuntimeError: it failed, was over before `when` held, or took too long.
    """
    started = time.monotonic()
    running = subprocess.Popen(
        [sys.executable, "-m", "recsys", *arguments, "--json"], stdout=subprocess.PIPE, text=True
    )
    while when is not None and not when():
        if running.poll() is not None:
            raise RuntimeError(f"recsys {arguments[0]} was over before a node could be killed.")
        time.sleep(_LOOK)
    then()
    said, _ = running.communicate(timeout=_MOST_SECONDS)
    if running.returncode:
        raise RuntimeError(f"recsys {arguments[0]} ended with code {running.returncode}: {said}")
    return json.loads(said.splitlines()[-1]), round(time.monotonic() - started, 1)


def _recsys(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "recsys", *arguments, "--json"], check=True, stdout=subprocess.DEVNULL)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--users", type=int, default=20_000)
    parser.add_argument("--items", type=int, default=2_000)
    parser.add_argument("--events", type=int, default=15, help="of each user")
    parser.add_argument("--epochs", type=int, default=6, help="of the body")
    parser.add_argument("--work", type=Path, default=None, help="a folder with room for the workspace")
    return parsed(parser, RESULTS)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
