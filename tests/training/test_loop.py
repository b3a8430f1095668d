"""The body's loop learns, repeats itself under one seed, and stops rather than go on with what is not a number."""

import math

import numpy as np
import pytest
import torch

from recsys.context.sequences import prefix_contexts
from recsys.errors import TrainingError
from recsys.experts.body import BodyConfig, BodyExpert, SequenceEncoder
from recsys.training import fitted_body
from recsys.training.attributes import ItemAttributes
from recsys.training.body_model import ATTRIBUTE_TABLE, ITEM_TABLE, BodyTrainingConfig
from recsys.training.fitted_body import FittedBody
from recsys.training.loop import fit_body, multiplies_half
from recsys.training.sharding import gathered_vectors
from recsys.training.windows import Windows

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning:torchrec")

BODY = BodyConfig(width=16, heads=1, layers=1, length=5, dropout=0.1)
N_ITEMS = 8
CYCLES = torch.tensor([[(start + n) % N_ITEMS + 1 for n in range(6)] for start in range(N_ITEMS)] * 5)
EVENTS = CYCLES.shape[1]
NOTHING = ItemAttributes.none(N_ITEMS)


@pytest.fixture
def fit(one_worker):
    def run(items=CYCLES, seed=3, losses=None, attributes=NOTHING, body=BODY, **settings) -> FittedBody:
        config = {"epochs": 6, "batch_events": 4 * EVENTS, "negatives": 16, "learning_rate": 1e-2, **settings}
        fitted = fit_body(
            Windows(items, torch.arange(1, items.numel() + 1).view_as(items) * 3_600_000_000),
            total_events=items.numel(),
            attributes=attributes,
            body=body,
            config=BodyTrainingConfig(**{"precision": "float32", **config}),
            world=one_worker,
            seed=seed,
            on_epoch=lambda epoch, loss: None if losses is None else losses.append((epoch, loss)),
        )
        assert fitted is not None
        return fitted

    return run


@pytest.mark.slow
@pytest.mark.parametrize("negatives", [4, N_ITEMS], ids=["sampled", "all items"])
def test_it_learns_what_comes_next(fit, make_sequences, negatives):
    losses: list[tuple[int, float]] = []
    fitted = fit(losses=losses, negatives=negatives)
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
    fitted = fit(items=CYCLES[:2], losses=losses, epochs=epochs)
    assert len(losses) == epochs
    assert torch.isfinite(fitted.items).all()


def test_a_loss_that_is_not_a_number_ends_the_fit(fit):
    with pytest.raises(TrainingError, match="not finite in epoch 1; nothing was registered"):
        fit(table_learning_rate=math.inf)


def test_a_window_of_one_event_teaches_nothing_and_breaks_nothing(fit):
    alone = torch.zeros(3, EVENTS, dtype=torch.int64)
    alone[:, 0] = 2
    losses: list[tuple[int, float]] = []
    fit(items=alone, losses=losses, epochs=2)
    assert [loss for _, loss in losses] == [0.0, 0.0]


@pytest.fixture
def gathered(monkeypatch):
    """Keeps the tables as they came from the workers."""
    kept: dict[str, torch.Tensor] = {}

    def keeping(sharded, rank):
        found = gathered_vectors(sharded, rank)
        kept.update({name: table.clone() for name, table in found.items()})
        return found

    monkeypatch.setattr(fitted_body, "gathered_vectors", keeping)
    return kept


def test_what_comes_back_are_items_with_the_mean_of_their_attributes_added_in(fit, make_attributes, gathered):
    found = fit(attributes=make_attributes([0], [0, 1], *[[]] * 6), epochs=1).items
    items, attributes = gathered[ITEM_TABLE], gathered[ATTRIBUTE_TABLE]
    assert attributes.shape == (2, BODY.width)
    torch.testing.assert_close(found[1], items[1] + attributes[0])
    torch.testing.assert_close(found[2], items[2] + attributes.mean(0))
    assert torch.equal(found[3:], items[3:])
    assert not found[0].any()


def test_vectors_of_attributes_begin_smaller_than_those_of_items(fit, make_attributes, gathered):
    fit(attributes=make_attributes(*[list(range(40))] * N_ITEMS), epochs=1, table_learning_rate=1e-12)
    spread = {name: float(table.std()) * BODY.width**0.5 for name, table in gathered.items()}
    assert spread[ATTRIBUTE_TABLE] == pytest.approx(0.3, rel=0.15)
    assert spread[ITEM_TABLE] == pytest.approx(1.0, rel=0.3)


def test_with_a_clock_gaps_and_hours_are_learnt(fit):
    timed = BODY.model_copy(update={"clock": True})
    encoder = fit(body=timed, epochs=2).encoder
    assert encoder["blocks.0.gap_bias"].any()
    assert encoder["times.hour_vectors"].any()
    SequenceEncoder(timed).load_state_dict(encoder)


def test_in_half_precision_it_comes_to_about_the_same_loss(fit):
    told: dict[str, list[tuple[int, float]]] = {"float32": [], "bfloat16": []}
    for precision, losses in told.items():
        fitted = fit(precision=precision, losses=losses, epochs=2, negatives=4)
        assert fitted.items.dtype == torch.float32
        assert all(weight.dtype == torch.float32 for weight in fitted.encoder.values())
    full, half = (losses[-1][1] for losses in told.values())
    assert half != full
    assert half == pytest.approx(full, rel=0.05)


@pytest.mark.parametrize(("precision", "half"), [("float32", False), ("bfloat16", True)])
def test_a_precision_that_is_named_is_used_and_auto_asks_the_processor(monkeypatch, precision, half):
    cpu = torch.device("cpu")
    assert multiplies_half(BodyTrainingConfig(precision=precision), cpu) is half
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: half)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    assert multiplies_half(BodyTrainingConfig(), cpu) is half
