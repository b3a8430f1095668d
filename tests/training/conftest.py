"""Sequences by hand, and a process group of one so that the body's loop runs without Ray."""

from __future__ import annotations

import numpy as np
import pytest

from recsys.context.sequences import Sequences
from recsys.training.attributes import ItemAttributes


@pytest.fixture(scope="session")
def make_sequences():
    """Makes sequences out of one list of item indices a user; events are an hour apart."""

    def make(*users: list[int]) -> Sequences:
        lengths = [len(user) for user in users]
        return Sequences(
            user_ids=tuple(f"u{n:04d}" for n in range(len(users))),
            offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            items=np.array([item for user in users for item in user], dtype=np.int64),
            times=np.arange(1, sum(lengths) + 1, dtype=np.int64) * 3_600_000_000,
            values=np.ones(sum(lengths), dtype=np.float32),
        )

    return make


@pytest.fixture(scope="session")
def make_attributes():
    """Makes attributes out of one list of attribute indices an item, the first item's first."""

    def make(*items: list[int]) -> ItemAttributes:
        values = np.array([value for own in items for value in own], dtype=np.int64)
        offsets = np.concatenate([[0, 0], np.cumsum([len(own) for own in items])]).astype(np.int64)
        return ItemAttributes(offsets, values, tuple(f"kind={n}" for n in range(int(values.max(initial=-1)) + 1)))

    return make


@pytest.fixture(scope="session")
def one_worker(tmp_path_factory):
    """The world of a single worker."""
    import torch
    from torch import distributed

    from recsys.training.loop import World

    meeting = tmp_path_factory.mktemp("gloo") / "store"
    distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=0, world_size=1)
    yield World(rank=0, size=1, device=torch.device("cpu"))
    distributed.destroy_process_group()
