"""Fits the body in groups of forked workers, one group after the other from the checkpoint of the one before it.

Run by test_two_workers.py with a folder and cases, of which each is a list of groups; what the workers held is left in
the folder. Prints one JSON object a case. Nothing is computed before the forks.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import distributed

from recsys.experts.body import BodyConfig
from recsys.training.attributes import ItemAttributes
from recsys.training.body_model import BodyTrainingConfig, TrainableBody
from recsys.training.checkpoint import Checkpoints
from recsys.training.fit_state import FitState, Place
from recsys.training.loop import _begun, _fit_epoch
from recsys.training.sharding import gathered_vectors
from recsys.training.table_rows import as_tensors, own_rows
from recsys.training.windows import Windows
from recsys.training.world import World

N_ITEMS, LENGTH, EPOCHS = 9, 5, 6
WINDOWS = torch.tensor([[(3 * start + step) % N_ITEMS + 1 for step in range(LENGTH + 1)] for start in range(8)])
BODY = BodyConfig(width=8, heads=1, layers=1, length=LENGTH, dropout=0.0)
CONFIG = BodyTrainingConfig(
    epochs=EPOCHS, batch_events=WINDOWS.numel(), negatives=N_ITEMS, learning_rate=1e-2, precision="float32"
)
"""All events are one step and every item competes, so that workers do together what one does alone."""
SECONDS = 60


def described(attributes: list[list[int]]) -> ItemAttributes:
    """One list of attributes an item."""
    values = np.array([value for own in attributes for value in own], dtype=np.int64)
    offsets = np.concatenate([[0, 0], np.cumsum([len(own) for own in attributes])]).astype(np.int64)
    return ItemAttributes(offsets, values, tuple(map(str, range(int(values.max(initial=-1)) + 1))))


def work(folder: Path, group: dict[str, Any], number: int, rank: int) -> None:
    """One worker of a group: goes on from the checkpoint, looks up, fits, and writes the next one."""
    size = group["workers"]
    torch.set_num_threads(1)
    meeting = f"file://{folder / f'meeting-{number}'}"
    distributed.init_process_group(
        "gloo", init_method=meeting, rank=rank, world_size=size, timeout=timedelta(seconds=SECONDS)
    )
    world, attributes = World(rank, size, torch.device("cpu")), described(group["attributes"])
    state = _begun(attributes, BODY, CONFIG, world, 5, EPOCHS, None)
    checkpoints = Checkpoints(folder / "checkpoints", world, 1e9)
    place = checkpoints.restore(state, 5) or Place(state.order.get_state())
    _leave(folder / f"{number}-before-{rank}", state)
    if "asked" in group:
        _look_up(folder / f"{number}-found-{rank}", state, group["asked"][rank])
    own = WINDOWS[rank::size]
    windows = Windows(own, torch.arange(own.numel()).view_as(own))
    for _ in range(group.get("epochs", 0)):
        _fit_epoch(state, place, windows, torch.zeros(1), N_ITEMS, CONFIG, world, None)
        place = place.next_epoch(state.order.get_state())
    _leave(folder / f"{number}-after-{rank}", state)
    checkpoints.write(state, place)
    whole = gathered_vectors(state.sharded, rank)
    if whole is not None:
        save_file(whole, folder / f"{number}-whole")
    distributed.destroy_process_group()


def _look_up(path: Path, state: FitState, items: list[int]) -> None:
    """What a worker is answered, and what its tables were asked; every place in it has the gradient 1."""
    (body,) = [module for module in state.sharded.modules() if isinstance(module, TrainableBody)]
    asked: list[torch.Tensor] = []
    body.tables.register_forward_pre_hook(lambda _, told: asked.append(told[0].values()))
    found = body._vectors(torch.tensor(items, dtype=torch.int64))
    save_file({"found": found.detach(), "asked": asked[0]}, path)
    found.sum().backward()


def _leave(path: Path, state: FitState) -> None:
    """The worker's rows and sums, with the numbers of their first rows, and the encoder."""
    rows, first = as_tensors(own_rows(state.sharded))
    encoder = {f"encoder.{name}": parameter.detach() for name, parameter in state.dense.items()}
    save_file({name: own.clone() for name, own in (rows | encoder).items()}, path, first)


def _forked(folder: Path, group: dict[str, Any], number: int, rank: int) -> int:
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        work(folder, group, number, rank)
        code = 0
    except BaseException:
        (folder / f"error-{number}-{rank}.txt").write_text(traceback.format_exc())
    finally:
        os._exit(code)


def run(folder: Path, groups: list[dict[str, Any]]) -> list[str]:
    """Runs the groups one after the other; the errors of the first that fails."""
    folder.mkdir(parents=True)
    for number, group in enumerate(groups):
        for worker in [_forked(folder, group, number, rank) for rank in range(group["workers"])]:
            os.waitpid(worker, 0)
        errors = [path.read_text() for path in folder.glob("error-*.txt")]
        if errors:
            return errors
    return []


if __name__ == "__main__":
    for number, told in enumerate(sys.argv[2:]):
        errors = run(Path(sys.argv[1]) / str(number), json.loads(told))
        sys.stdout.write(json.dumps({"case": told, "errors": errors}) + "\n")
        sys.stdout.flush()
