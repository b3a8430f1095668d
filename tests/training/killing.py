"""Fits the body in processes that are killed, and goes on; prints one JSON object a case. Run by test_killed_fits.py.

Everything is imported once; every worker is forked from here and meets the others over gloo, as Ray's workers do.
Nothing is computed before the forks.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import distributed

from recsys.context.sequences import Sequences, prefix_contexts
from recsys.experts.body import BodyConfig, BodyExpert, SequenceEncoder
from recsys.failpoints import FUSE_VARIABLE, VARIABLE
from recsys.training.attributes import ItemAttributes
from recsys.training.body_model import BodyTrainingConfig
from recsys.training.checkpoint import Checkpoints
from recsys.training.checkpoint_folder import CheckpointFolder
from recsys.training.fitted_body import FittedBody
from recsys.training.loop import fit_body
from recsys.training.windows import Windows
from recsys.training.world import World

BODY = BodyConfig(width=32, heads=1, layers=1, length=8, dropout=0.1)
ITEMS, USERS, EVENTS, UNSEEN = 60, 480, 9, 1_000
EPOCHS, STEPS = 8, 12
CONFIG = BodyTrainingConfig(
    epochs=EPOCHS, batch_events=USERS * EVENTS // STEPS, negatives=32, learning_rate=1e-2, precision="float32"
)
DESCRIBED = ItemAttributes(
    offsets=np.array([0, *range(ITEMS + 1)]),
    values=np.arange(ITEMS) // 6,
    names=tuple(f"stretch={n}" for n in range(10)),
)
"""Items that follow each other have the same attribute, six at a time."""
SECONDS = 60


@dataclass(frozen=True)
class Case:
    """How a fit is killed and gone on with.

    Attributes:
        name: the failpoint, `moment` for no named one, `whole` for no kill.
        arrivals: at which arrival there it dies; by `moment` after how many thousandths of a second.
        workers: before the kill.
        then: after it.
        minutes: between checkpoints within an epoch.
    """

    name: str
    arrivals: int
    workers: int
    then: int
    minutes: float = 1e9


def walks(seed: int, users: int) -> np.ndarray:
    """(users, EVENTS) item indices: mostly the next one, sometimes the one after it."""
    rng = np.random.default_rng(seed)
    steps = rng.choice([1, 2], (users, EVENTS), p=[0.95, 0.05]).cumsum(1)
    return (rng.integers(0, ITEMS, users)[:, None] + steps) % ITEMS + 1


def ndcg(fitted: FittedBody) -> float:
    """NDCG@10 of the last item of users whom no fit saw."""
    unseen = walks(2, UNSEEN)
    users = np.arange(UNSEEN)
    sequences = Sequences(
        user_ids=tuple(map(str, users)),
        offsets=np.arange(0, unseen.size + 1, EVENTS),
        items=unseen.ravel(),
        times=np.arange(unseen.size) * 3_600_000_000,
        values=np.ones(unseen.size, np.float32),
    )
    encoder = SequenceEncoder(BODY)
    encoder.load_state_dict(fitted.encoder)
    nobody = np.zeros((UNSEEN, 0), np.float32)
    context = prefix_contexts(sequences, users, np.full(UNSEEN, EVENTS - 1), nobody, history_length=BODY.length)
    scores = BodyExpert(encoder.eval(), fitted.items).score(context).detach()
    own = scores[torch.arange(UNSEEN), torch.from_numpy(unseen[:, -1] - 1)]
    rank = (scores > own[:, None]).sum(1)
    return float(torch.where(rank < 10, 1 / torch.log2(rank + 2.0), 0.0).mean())


def work(folder: Path, rank: int, size: int, meeting: Path, minutes: float) -> None:
    """One worker, start to end; worker 0 leaves what came of it."""
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=size)
    items = torch.from_numpy(walks(1, USERS))[rank::size]
    world = World(rank, size, torch.device("cpu"))
    losses: list[float] = []
    fitted = fit_body(
        Windows(items, torch.arange(EVENTS).expand(len(items), -1) * 3_600_000_000),
        total_events=USERS * EVENTS,
        attributes=DESCRIBED,
        body=BODY,
        config=CONFIG,
        world=world,
        seed=5,
        on_epoch=lambda _, loss: losses.append(loss),
        checkpoints=Checkpoints(folder / "checkpoints", world, minutes),
    )
    if fitted is not None:
        tensors = [fitted.items, *(fitted.encoder[name] for name in sorted(fitted.encoder))]
        weights = hashlib.sha256(b"".join(tensor.numpy().tobytes() for tensor in tensors)).hexdigest()
        told = {"weights": weights, "losses": losses, "ndcg": ndcg(fitted)}
        (folder / "fitted.json").write_text(json.dumps(told))
    distributed.destroy_process_group()


def group(folder: Path, size: int, minutes: float, case: Case | None = None) -> bool:
    """Runs a group of workers; whether one was killed. The others of a group that lost one are ended, as Ray does."""
    meeting = folder / f"meeting-{time.monotonic_ns()}"
    workers = {_forked(folder, rank, size, meeting, minutes, case): rank for rank in range(size)}
    deadline, killed, failed = time.monotonic() + SECONDS, False, False
    moment = case.arrivals / 1000 if case and case.name == "moment" else None
    victim, began = random.Random(str(case)).choice(list(workers)), time.monotonic()
    while workers:
        if moment is not None and time.monotonic() - began > moment and victim in workers:
            os.kill(victim, signal.SIGKILL)
            moment = None
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid:
            workers.pop(pid)
            died = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
            killed, failed = killed or (died and not failed), failed or status != 0
        if failed or time.monotonic() > deadline:
            for other in workers:
                os.kill(other, signal.SIGKILL)
            for other in workers:
                os.waitpid(other, 0)
            break
        time.sleep(0.01)
    return killed


def _forked(folder: Path, rank: int, size: int, meeting: Path, minutes: float, case: Case | None) -> int:
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        if case is not None and case.name != "moment":
            os.environ |= {VARIABLE: case.name, FUSE_VARIABLE: str(folder / "fuse")}
        work(folder, rank, size, meeting, minutes)
        code = 0
    except BaseException:
        (folder / f"error-{rank}.txt").write_text(traceback.format_exc())
    finally:
        os._exit(code)


def run(folder: Path, case: Case) -> dict[str, object]:
    """Kills a fit and goes on with it."""
    (folder / "fuse").mkdir(parents=True)
    killed, left = False, None
    if case.name != "whole":
        for number in range(case.arrivals if case.name != "moment" else 0):
            (folder / "fuse" / str(number)).touch()
        killed = group(folder, case.workers, case.minutes, case)
        stored = CheckpointFolder(folder / "checkpoints").newest()
        left = [stored.about["epoch"], stored.about["step"], stored.about["workers"]] if stored else None
    group(folder, case.then, case.minutes)
    fitted = folder / "fitted.json"
    errors = [] if fitted.exists() else [path.read_text() for path in folder.glob("error-*.txt")]
    return {"killed": killed, "left": left, "errors": errors} | (
        json.loads(fitted.read_text()) if fitted.exists() else {}
    )


if __name__ == "__main__":
    for number, told in enumerate(sys.argv[2:]):
        found = run(Path(sys.argv[1]) / str(number), Case(**json.loads(told)))
        sys.stdout.write(json.dumps({"case": told} | found) + "\n")
        sys.stdout.flush()
