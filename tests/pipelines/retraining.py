"""Kills the retraining flow before and after each of its steps is written down, and runs it again. Prints one JSON
object a kill. Run by test_retrain.py; each run is a child that is forked from here."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import torch
from rich.console import Console

import pipelines.retrain
import recsys.context.store
import recsys.jobs.evaluate
import recsys.jobs.ingest
import recsys.jobs.promote
import recsys.jobs.train
import recsys.training.fit
from pipelines.retrain import retrain
from pipelines.retrain_plan import Request
from pipelines.steps import Steps
from recsys.events.log import EventLog
from recsys.experts.body import BodyExpert, SequenceEncoder
from recsys.registry.client import registry
from recsys.registry.history import moves
from recsys.registry.versions import CHAMPION, aliased, version_numbers
from recsys.training.distributed import BodyRun
from recsys.workspace import HOME_VARIABLE, Workspace

NAME = "shop"
SETTINGS = (
    "body.width=8",
    "body.heads=1",
    "body.layers=1",
    "body.length=10",
    "generator.epochs=2",
    "memories.memory.ridges=[5.0, 5.0]",
)
USERS, ITEMS = 40, 25
STEPS = ("ingest", "train", "evaluate", "promote")


def write_export(folder: Path, first: int, count: int) -> None:
    """Events `first` to `first + count` of every user's walk through neighbouring items."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(3)
    rows = []
    for user in range(USERS):
        walk = rng.integers(1, 3, first + count).cumsum() + user
        rows += [
            (f"u{user:02d}", f"i{walk[n] % ITEMS:02d}", 1_600_000_000 + 60 * n) for n in range(first, first + count)
        ]
    frame = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row")
    frame.write_parquet(folder / "events.parquet")


def body(sequences, attributes, config, progress, *, clock, start=None, kept=None) -> BodyRun:
    """In the place of the fit on Ray: a body that learned nothing, or that is as it begins."""
    torch.manual_seed(config.seed)
    items = torch.randn(attributes.n_items + 1, config.body.width) if start is None else start.items
    items[0] = 0
    return BodyRun(BodyExpert(SequenceEncoder(config.body.model_copy(update={"clock": clock})), items), (1.0,))


def run(home: Path, export: Path | None, kill: tuple[str, str] | None = None) -> dict[str, dict[str, object]]:
    """The flow, killed before or after a step's output is written down."""
    os.environ[HOME_VARIABLE] = str(home)
    recsys.training.stages.fit_body_expert = body
    if kill is not None:
        _arm(*kill)
    request = Request(workspace=Workspace.named(NAME), data=export, overrides=SETTINGS)
    known: list[str] = []
    console = Console(file=open(os.devnull, "w"))  # noqa: SIM115
    plain = Steps.__init__

    def watched(self, folder, told):
        plain(self, folder, lambda name, output, was: (known.append(name) if was else None, told(name, output, was)))

    pipelines.retrain.Steps.__init__ = watched
    outputs = retrain(request, console)
    return {"outputs": outputs, "known": known}


def _arm(step: str, moment: str) -> None:
    note = Steps.note

    def dying(self, path, *rest):
        if moment == "after":
            note(self, path, *rest)
        if path.name.startswith(f"{step}-"):
            os.kill(os.getpid(), signal.SIGKILL)
        if moment == "before":
            note(self, path, *rest)

    Steps.note = dying


def state(home: Path) -> dict[str, object]:
    os.environ[HOME_VARIABLE] = str(home)
    workspace = Workspace.named(NAME)
    with registry(workspace) as client:
        versions, champion = version_numbers(client, workspace), aliased(client, workspace, CHAMPION)
    moved = [(move.version_from, move.version_to) for move in moves(workspace)]
    position = EventLog(workspace.event_log).position()
    return {"versions": versions, "champion": champion, "moves": moved, "position": position}


def forked(work: Callable[[], object], out: Path) -> int:
    """Runs it in a child; what it gives goes to a file as JSON. Returns how the child ended."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            out.write_text(json.dumps(work()))
            status = 0
        except BaseException:
            out.write_text(json.dumps({"error": traceback.format_exc()}))
        os._exit(status)
    return os.waitpid(child, 0)[1]


def tell(outcome: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(outcome) + "\n")
    sys.stdout.flush()


def main(folder: Path) -> None:
    base, first, second = folder / "base", folder / "first", folder / "second"
    out = folder / "out.json"

    def prepare() -> object:
        write_export(first, 0, 8)
        write_export(second, 8, 3)
        return run(base, first)

    forked(prepare, out)
    tell({"kill": "none", "run": json.loads(out.read_text())})
    for step in STEPS:
        for moment in ("before", "after"):
            home = folder / f"{step}-{moment}"
            shutil.copytree(base, home)
            ended = forked(lambda home=home, step=step, moment=moment: run(home, second, (step, moment)), out)
            killed = os.WIFSIGNALED(ended) and os.WTERMSIG(ended) == signal.SIGKILL
            forked(lambda home=home: {"run": run(home, second), **state(home)}, out)
            tell({"kill": f"{step}-{moment}", "killed": killed, **json.loads(out.read_text())})
            shutil.rmtree(home)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
