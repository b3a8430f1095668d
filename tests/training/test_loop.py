"""The body's loop learns, repeats itself under one seed, and stops rather than go on with what is not a number."""

import math

import numpy as np
import pytest
import torch

from recsys.context.sequences import prefix_contexts
from recsys.errors import TrainingError
from recsys.experts.body import BodyConfig, BodyExpert, SequenceEncoder
from recsys.training.body_model import BodyTrainingConfig
from recsys.training.loop import FittedBody, _cycled, fit_body

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning:torchrec")

BODY = BodyConfig(width=16, heads=1, layers=1, length=5, dropout=0.1)
N_ITEMS = 8
CYCLES = np.array([[(start + n) % N_ITEMS + 1 for n in range(6)] for start in range(N_ITEMS)] * 5, dtype=np.int64)


@pytest.fixture
def fit(one_worker):
    def run(windows=CYCLES, seed=3, losses=None, **settings) -> FittedBody:
        config = {"epochs": 6, "batch_size": 4, "negatives": 16, "learning_rate": 1e-2, **settings}
        fitted = fit_body(
            windows,
            total_windows=len(windows),
            n_items=N_ITEMS,
            body=BODY,
            config=BodyTrainingConfig(**config),
            world=one_worker,
            seed=seed,
            on_epoch=lambda epoch, loss: None if losses is None else losses.append((epoch, loss)),
        )
        assert fitted is not None
        return fitted

    return run


@pytest.mark.slow
def test_it_learns_what_comes_next(fit, make_sequences):
    losses: list[tuple[int, float]] = []
    fitted = fit(losses=losses)
    assert [epoch for epoch, _ in losses] == list(range(1, 7))
    assert losses[-1][1] < 0.5 * losses[0][1]
    assert fitted.items.shape == (N_ITEMS + 1, BODY.width)
    assert not fitted.items[0].any()

    encoder = SequenceEncoder(BODY)
    encoder.load_state_dict(fitted.encoder)
    own = make_sequences([3, 4, 5, 6], [7, 8, 1, 2])
    context = prefix_contexts(own, np.array([0, 1]), np.array([3, 3]), np.zeros((2, 0), np.float32), history_length=5)
    assert (BodyExpert(encoder, fitted.items).score(context).argmax(1) + 1).tolist() == [6, 2]


@pytest.mark.slow
def test_the_same_seed_gives_the_same_weights_and_another_one_others(fit):
    one, again, other = fit(epochs=2), fit(epochs=2), fit(epochs=2, seed=4)
    assert torch.equal(one.items, again.items)
    assert all(torch.equal(one.encoder[name], again.encoder[name]) for name in one.encoder)
    assert not torch.equal(one.items, other.items)


@pytest.mark.parametrize("epochs", [1, 2, 9, 10, 11, 20])
def test_any_small_number_of_steps_has_a_schedule(fit, epochs):
    losses: list[tuple[int, float]] = []
    fitted = fit(windows=CYCLES[:2], losses=losses, epochs=epochs)
    assert len(losses) == epochs
    assert torch.isfinite(fitted.items).all()


def test_a_loss_that_is_not_a_number_ends_the_fit(fit):
    with pytest.raises(TrainingError, match="not finite in epoch 1; nothing was registered"):
        fit(table_learning_rate=math.inf)


def test_a_worker_with_fewer_windows_makes_as_many_steps():
    order = _cycled(torch.tensor([4, 2, 7]), 8)
    assert order.tolist() == [4, 2, 7, 4, 2, 7, 4, 2]
    assert _cycled(torch.arange(9), 4).tolist() == [0, 1, 2, 3]
