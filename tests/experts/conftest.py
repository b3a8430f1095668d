"""Small sequences and contexts by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from recsys.context.batch import ContextBatch
from recsys.context.sequences import Sequences


@pytest.fixture
def sequences():
    """Makes sequences out of one list of item indices a user; events are a day apart."""

    def make(*users: list[int]) -> Sequences:
        lengths = [len(user) for user in users]
        return Sequences(
            user_ids=tuple(f"u{n}" for n in range(len(users))),
            offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            items=np.array([item for user in users for item in user], dtype=np.int64),
            times=np.arange(sum(lengths), dtype=np.int64) * 86_400_000_000,
            values=np.ones(sum(lengths), dtype=np.float32),
        )

    return make


@pytest.fixture
def contexts():
    """Makes contexts out of one list of item indices a user, oldest first."""

    def make(*histories: list[int], length: int = 12) -> ContextBatch:
        padded = [[0] * (length - len(own[-length:])) + own[-length:] for own in histories]
        seen = [list(dict.fromkeys(own)) for own in histories]
        history = torch.tensor(padded, dtype=torch.int64).reshape(len(histories), length)
        return ContextBatch(
            history=history,
            times=torch.where(history > 0, torch.arange(length) * 1_000_000, 0),
            values=(history > 0).float(),
            seen=torch.tensor([item for own in seen for item in own], dtype=torch.int64),
            seen_offsets=torch.tensor(np.concatenate([[0], np.cumsum([len(own) for own in seen])]), dtype=torch.int64),
            profile=torch.zeros(len(histories), 0),
            event_count=torch.tensor([float(len(own)) for own in histories]),
            moment=torch.zeros(len(histories), dtype=torch.int64),
        )

    return make
