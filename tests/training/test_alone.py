"""A body fitted in this process alone: shown after each epoch, and the same whoever looks."""

import pytest
import torch

from recsys.errors import DataError
from recsys.training.alone import fit_body_alone
from recsys.training.attributes import ItemAttributes
from recsys.training.config import load_config

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning:torchrec")

CONFIG = load_config(
    "quickstart",
    [
        "body.width=8",
        "body.heads=1",
        "body.layers=1",
        "body.length=5",
        "body_training.epochs=3",
        "body_training.batch_events=12",
    ],
)


@pytest.fixture
def sequences(make_sequences):
    return make_sequences(*([(start + n) % 8 + 1 for n in range(6)] for start in range(8)))


@pytest.mark.slow
def test_looking_at_a_body_after_each_epoch_does_not_change_it(sequences):
    seen = []

    def look(epoch, body):
        torch.rand(7)
        seen.append((epoch, body.items.clone()))

    watched = fit_body_alone(sequences, ItemAttributes.none(8), CONFIG, clock=True, on_body=look)
    alone = fit_body_alone(sequences, ItemAttributes.none(8), CONFIG, clock=True)
    assert [epoch for epoch, _ in seen] == [1, 2, 3]
    assert not torch.equal(seen[0][1], seen[2][1])
    for body in (watched, alone):
        assert torch.equal(body.expert.items, seen[2][1])
    encoders = (watched.expert.encoder.state_dict(), alone.expert.encoder.state_dict())
    assert all(torch.equal(encoders[0][name], encoders[1][name]) for name in encoders[0])
    assert watched.losses == alone.losses
    assert len(alone.losses) == 3


def test_without_a_window_nothing_is_fitted(make_sequences):
    with pytest.raises(DataError, match="No user has two events"):
        fit_body_alone(make_sequences([1], [2]), ItemAttributes.none(8), CONFIG, clock=True)
