"""Kills training jobs and resumes them; prints one JSON object a case. Run by test_resume_killed.py.

Everything is imported once, each job runs in a child that is forked from here. The body's loop, files and checkpoints
are the real ones, in the job's own process instead of in Ray's workers.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import polars as pl
import torch

import recsys.context.store
import recsys.jobs.train
import recsys.training.distributed
import recsys.training.loop
from recsys.data.canonical import with_event_ids
from recsys.data.imported import ImportedData
from recsys.data.schema import WorkspaceSchema
from recsys.failpoints import FUSE_VARIABLE, VARIABLE
from recsys.jobs.ingest import ingest
from recsys.jobs.train import resume, train
from recsys.jobs.training_run import runs
from recsys.registry.client import exists, registry
from recsys.registry.versions import version_numbers
from recsys.training.config import load_config
from recsys.training.world import World
from recsys.workspace import HOME_VARIABLE, Workspace

USERS, EVENTS, ITEMS = 40, 8, 25
SETTINGS = (
    "workers=1",
    "body.width=8",
    "body.heads=1",
    "body.layers=1",
    "body.length=10",
    "body_training.epochs=4",
    "body_training.batch_events=40",
    "generator.epochs=2",
    "generator.held_out_users=0.3",
    "memories.memory.ridges=[5.0, 5.0]",
)


def walks() -> ImportedData:
    """Users walk through neighbouring items, a minute between events."""
    starts = np.random.default_rng(3).integers(0, ITEMS, USERS)
    rows = [
        (f"u{user:02d}", f"i{(start + n) % ITEMS:02d}", 1_600_000_000_000_000 + n * 60_000_000)
        for user, start in enumerate(starts)
        for n in range(EVENTS)
    ]
    types = {"user_id": pl.String, "item_id": pl.String, "occurred_at": pl.Int64}
    schema = WorkspaceSchema(name="walks")
    return ImportedData(
        source="by hand",
        events=with_event_ids(
            pl.DataFrame(rows, schema=types, orient="row").with_columns(
                event=pl.lit(None, pl.String), value=pl.lit(1.0, pl.Float32)
            )
        ),
        users=pl.DataFrame({"user_id": sorted({row[0] for row in rows})}),
        items=pl.DataFrame(schema=schema.items_frame_schema()),
        schema=schema,
    )


def here(files, workers: int, restarts: int) -> None:
    """The one worker, in this process."""
    meeting = files.folder / f"meeting-{os.getpid()}"
    torch.distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=0, world_size=1)
    recsys.training.distributed._fit(files, World(0, 1, torch.device("cpu")))
    torch.distributed.destroy_process_group()


def begin(workspace: Workspace) -> dict[str, object]:
    return told(train(workspace, load_config(overrides=SETTINGS), key="nightly-0123456789abcdef"))


def go_on(workspace: Workspace) -> dict[str, object]:
    [run] = runs(workspace)
    return told(resume(workspace, run.name))


def told(result) -> dict[str, object]:
    return {"content_hash": result.content_hash, "metrics": result.metrics, "version": result.model_version}


def in_child(work: Callable[[], dict[str, object]], answer: Path, armed: tuple[str, Path] | None = None) -> bool:
    """Runs work in a fork; what it gives, the steps that it made and its error go to a file. Whether it was killed."""
    child = os.fork()
    if child == 0:
        steps = 0
        plain = recsys.training.loop.reached

        def counted(point) -> None:
            nonlocal steps
            steps += point == "train.step-done"
            plain(point)

        recsys.training.loop.reached = counted
        try:
            if armed is not None:
                os.environ |= {VARIABLE: armed[0], FUSE_VARIABLE: str(armed[1])}
            answer.write_text(json.dumps(work() | {"steps": steps}))
        except Exception as error:
            said = {"error": f"{type(error).__name__}: {error}", "trace": traceback.format_exc()}
            answer.write_text(json.dumps(said))
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def look(workspace: Workspace) -> dict[str, object]:
    [run] = runs(workspace)
    numbers = []
    if exists(workspace):
        with registry(workspace) as client:
            numbers = version_numbers(client, workspace)
    left = sorted(path.name for path in run.folder.iterdir())
    return {"left": left, "versions": numbers, "finished_as": run.plan.version}


def main(folder: Path, cases: list[str]) -> None:
    recsys.training.distributed._run = here
    recsys.training.distributed.ray_cluster = nullcontext
    workspace, answer, kept = Workspace("walks", folder / "home"), folder / "answer.json", folder / "kept"
    os.environ[HOME_VARIABLE] = str(workspace.home)
    in_child(lambda: {"made": bool(ingest(workspace, walks()))}, answer)
    shutil.copytree(workspace.home, kept)
    for case in cases:
        point, arrivals, then = case.split()
        shutil.rmtree(workspace.home)
        shutil.copytree(kept, workspace.home)
        fuse = folder / "fuse"
        shutil.rmtree(fuse, ignore_errors=True)
        fuse.mkdir()
        for number in range(int(arrivals)):
            (fuse / str(number)).touch()
        armed = None if point == "none" else (point, fuse)
        killed = in_child(lambda: begin(workspace), answer, armed)
        if point != "none":
            in_child(lambda then=then: (begin if then == "again" else go_on)(workspace), answer)
        outcome = json.loads(answer.read_text())
        in_child(lambda: look(workspace), answer)
        seen = json.loads(answer.read_text())
        sys.stdout.write(json.dumps({"case": case, "killed": killed} | seen | {"outcome": outcome}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
