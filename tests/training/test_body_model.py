"""The body's loss is sampled softmax over next items, whatever the padding; an item is also what it is described as."""

import pytest
import torch
from torch.nn import functional

from recsys.experts.body import BodyConfig
from recsys.training.attributes import ItemAttributes
from recsys.training.body_model import ATTRIBUTE_TABLE, ITEM_TABLE, TrainableBody

CONFIG = BodyConfig(width=8, heads=1, layers=1, length=4, dropout=0.0)
N_ITEMS = 6
DESCRIBED = ([0], [0, 2], [], [1, 2, 0], [1], [2])


@pytest.fixture(scope="module", params=["plain", "described"])
def model(request, make_attributes) -> TrainableBody:
    torch.manual_seed(2)
    attributes = make_attributes(*DESCRIBED) if request.param == "described" else ItemAttributes.none(N_ITEMS)
    return TrainableBody(CONFIG, attributes).eval()


def loss_of(model: TrainableBody, sequences: list[list[int]], negatives: list[int] | None, times=None, *, half=False):
    rows = torch.tensor(sequences)
    drawn = None if negatives is None else torch.tensor(negatives)
    hours = torch.zeros_like(rows) if times is None else torch.tensor(times) * 3_600_000_000
    with torch.no_grad():
        loss, events = model(rows, hours, drawn, half=half)
    return float(loss), int(events)


def vectors(model: TrainableBody) -> torch.Tensor:
    """Every item's vector: its own and the mean of its attributes'."""
    tables = dict(model.tables.embeddings.items())
    found = tables[ITEM_TABLE].weight.detach().clone()
    if model.attributes.n_attributes:
        for item, own in enumerate(DESCRIBED, start=1):
            if own:
                found[item] += tables[ATTRIBUTE_TABLE].weight.detach()[own].mean(0)
    return found


def by_hand(model: TrainableBody, sequence: list[int], negatives: list[int]) -> float:
    table = vectors(model)
    with torch.no_grad():
        states = model.encoder(table[sequence[:-1]][None])[0]
    total = 0.0
    for state, target in zip(states, sequence[1:], strict=True):
        candidates = [target, *(negative for negative in negatives if negative != target)]
        total += float(functional.cross_entropy((table[candidates] @ state)[None], torch.tensor([0])))
    return total


def test_the_loss_is_that_of_a_plain_loop_without_negatives_that_are_the_target(model):
    sequences = [[1, 2, 3, 4, 5], [6, 2, 0, 0, 0], [3, 3, 1, 0, 0]]
    negatives = [2, 5, 5, 1]
    loss, events = loss_of(model, sequences, negatives)
    assert events == 4 + 1 + 2
    assert loss == pytest.approx(sum(by_hand(model, [i for i in row if i], negatives) for row in sequences), rel=1e-5)


def test_without_negatives_all_items_compete(model):
    sequences = [[1, 2, 3, 4, 5], [6, 2, 0, 0, 0], [3, 3, 1, 0, 0]]
    loss, events = loss_of(model, sequences, None)
    everything = list(range(1, N_ITEMS + 1))
    assert events == 4 + 1 + 2
    assert loss == pytest.approx(sum(by_hand(model, [i for i in row if i], everything) for row in sequences), rel=1e-5)
    assert loss == pytest.approx(loss_of(model, sequences, everything)[0], rel=1e-5)


def test_more_padding_changes_nothing(model):
    tight, _ = loss_of(model, [[1, 2, 3]], [4, 5])
    wide, _ = loss_of(model, [[1, 2, 3, 0, 0]], [4, 5])
    assert wide == pytest.approx(tight, rel=1e-5)


def test_when_every_negative_is_the_target_there_is_nothing_to_lose(model):
    assert loss_of(model, [[1, 2]], [2, 2]) == (0.0, 1)


def test_single_events_predict_nothing(model):
    assert loss_of(model, [[1, 0]], [2]) == (0.0, 0)


def test_in_half_precision_the_loss_is_about_the_same(model):
    full, _ = loss_of(model, [[1, 2, 3, 4, 5]], [4, 5])
    half, _ = loss_of(model, [[1, 2, 3, 4, 5]], [4, 5], half=True)
    assert half != full
    assert half == pytest.approx(full, rel=0.02)


def test_times_are_read_with_a_clock_and_the_targets_own_time_is_not(make_attributes):
    torch.manual_seed(2)
    model = TrainableBody(CONFIG.model_copy(update={"clock": True}), make_attributes(*DESCRIBED)).eval()
    for name, parameter in model.encoder.named_parameters():
        if "gap_bias" in name or "hour_vectors" in name:
            torch.nn.init.normal_(parameter)
    even, _ = loss_of(model, [[1, 2, 3]], [4, 5], [[0, 1, 2]])
    late_target, _ = loss_of(model, [[1, 2, 3]], [4, 5], [[0, 1, 2_000]])
    late_event, _ = loss_of(model, [[1, 2, 3]], [4, 5], [[0, 24 * 90, 24 * 90 + 1]])
    assert late_target == even
    assert late_event != pytest.approx(even, rel=1e-3)


def test_with_baskets_every_item_of_one_is_predicted_from_the_state_before_it():
    torch.manual_seed(2)
    config = CONFIG.model_copy(update={"baskets": True})
    model = TrainableBody(config, ItemAttributes.none(N_ITEMS)).eval()
    row, days, negatives = [1, 2, 3, 4, 0], [7, 8, 8, 9, 0], [5, 6]
    loss, events = loss_of(model, [row], negatives, [days])
    table = vectors(model)
    with torch.no_grad():
        states = model.encoder(table[row[:-1]][None])[0]
    expected = 0.0
    for before, target in ((0, 2), (0, 3), (2, 4)):
        logits = table[[target, *negatives]] @ states[before]
        expected += float(functional.cross_entropy(logits[None], torch.tensor([0])))
    assert (loss, events) == (pytest.approx(expected, rel=1e-5), 3)


def test_the_first_basket_is_predicted_from_nothing():
    model = TrainableBody(CONFIG.model_copy(update={"baskets": True}), ItemAttributes.none(N_ITEMS)).eval()
    assert loss_of(model, [[1, 2, 3, 4]], [5], [[7, 7, 7, 7]]) == (0.0, 0)


def test_without_attributes_there_is_no_table_for_them(make_attributes):
    plain = TrainableBody(CONFIG, ItemAttributes.none(N_ITEMS))
    assert set(plain.tables.embeddings) == {ITEM_TABLE}
    described = TrainableBody(CONFIG, make_attributes(*DESCRIBED))
    assert described.tables.embeddings[ATTRIBUTE_TABLE].weight.shape == (3, CONFIG.width)


@pytest.mark.parametrize("described", [DESCRIBED, ([],) * N_ITEMS])
def test_rows_asked_once_are_the_same_rows_and_learn_the_same(make_attributes, described):
    rows, learnt = torch.tensor([[1, 2, 3, 2, 0], [6, 2, 0, 0, 0]]), []
    for asks_once in (False, True):
        torch.manual_seed(2)
        model = TrainableBody(CONFIG, make_attributes(*described), asks_once=asks_once)
        loss, _ = model(rows, torch.zeros_like(rows), torch.tensor([4, 5, 5]), half=False)
        loss.backward()
        learnt.append((loss.detach(), *(parameter.grad for parameter in model.parameters())))
    for often, once in zip(*learnt, strict=True):
        torch.testing.assert_close(once, often)


@pytest.mark.parametrize("attributes", [DESCRIBED, ([],) * N_ITEMS])
def test_gradients_reach_tables_and_encoder(make_attributes, attributes):
    model = TrainableBody(CONFIG, make_attributes(*attributes))
    rows = torch.tensor([[1, 2, 3, 0, 0]])
    loss, _ = model(rows, torch.zeros_like(rows), torch.tensor([4, 5]), half=False)
    loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.any(), name
