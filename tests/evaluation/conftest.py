"""Small sequences in which the next item follows from the ones before it, and a model small enough to check by hand."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from recsys.context.batch import FeatureRow
from recsys.context.encoder import ContextEncoder
from recsys.context.profile import ProfileEncoding
from recsys.context.sequences import Sequences
from recsys.data.schema import WorkspaceSchema
from recsys.model.calibration import Calibration
from recsys.model.head import HeadWeights
from recsys.model.personal import Scored
from recsys.model.scoring import ExpertOutputs
from recsys.ranking.recommender import Recommender

N_ITEMS = 30


@pytest.fixture
def sequences_of():
    """Makes sequences out of one list of item indices a user."""

    def make(rows) -> Sequences:
        return Sequences(
            tuple(map(str, range(len(rows)))),
            np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64),
            np.concatenate([np.asarray(row, np.int64) for row in rows]),
            np.zeros(sum(map(len, rows)), np.int64),
            np.ones(sum(map(len, rows)), np.float32),
        )

    return make


@pytest.fixture
def two_tastes(sequences_of) -> Sequences:
    """80 users who each keep to one half of 30 items, in an order of their own, 5 to 12 events each."""
    rng = np.random.default_rng(0)
    return sequences_of([rng.permutation(15)[: rng.integers(5, 13)] + 1 + 15 * (user % 2) for user in range(80)])


class _Network:
    names = said_alone = ("next", "previous")
    n_items = N_ITEMS

    def outputs(self, context):
        """The item after the last one, and the one before it, score best."""
        last, items = context.history[:, -1:], torch.arange(1, N_ITEMS + 1)
        scores = [-((items - last - step) % N_ITEMS).float() for step in (1, -1)]
        return ExpertOutputs(last.float(), torch.stack(scores, dim=1))

    def score(self, outputs, head):
        return torch.einsum("ben,be->bn", outputs.scores, head.gains)


class _Generator:
    """Users with an even number of events want the next item, the others the previous one."""

    def inputs(self, statistics, states):
        return statistics

    def __call__(self, inputs):
        even = 1 - inputs[:, :1]
        return HeadWeights(torch.cat([even, 1 - even], dim=1), torch.zeros(len(inputs)))


class _Model:
    network, hypernetwork = _Network(), _Generator()
    config = SimpleNamespace(head=SimpleNamespace(kind="gains"))

    def statistics(self, context, outputs):
        return (context.event_count % 2)[:, None]

    def forward(self, context):
        outputs = self.network.outputs(context)
        head = self.hypernetwork(self.statistics(context, outputs))
        return Scored(outputs, head, self.network.score(outputs, head))

    def shared_scores(self, outputs):
        return outputs.scores.mean(1)


@pytest.fixture
def by_parity() -> Recommender:
    """Recommends the neighbour that the parity of a user's event count asks for."""
    vocabulary = tuple(f"i{n:02d}" for n in range(1, N_ITEMS + 1))
    encoder = ContextEncoder(vocabulary, ProfileEncoding(), 4)
    schema = WorkspaceSchema("films", user_columns={"gender": "categorical", "age": "numeric"})
    return Recommender(_Model(), encoder, schema, Calibration(), "1")


@pytest.fixture
def parity_users():
    """Makes users and the targets that their own head puts first."""

    def make(users: int) -> tuple[list[FeatureRow], list[str]]:
        rows, targets = [], []
        for user in range(users):
            item, count = user * 7 % N_ITEMS, 1 + user % 4
            seen = tuple(f"i{(item - 3 * step) % N_ITEMS + 1:02d}" for step in range(count))[::-1]
            row = FeatureRow(
                user_id=f"u{user}",
                history_items=seen,
                history_times=(0,) * count,
                history_values=(1.0,) * count,
                seen_items=seen,
                event_count=count,
                profile={"gender": "F" if user % 3 else "M", "age": 30.0},
            )
            rows.append(row)
            targets.append(f"i{(item + (1 if count % 2 == 0 else -1)) % N_ITEMS + 1:02d}")
        return rows, targets

    return make
