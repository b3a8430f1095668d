"""The body's loss is sampled softmax over next items, whatever the padding."""

import pytest
import torch
from torch.nn import functional

from recsys.experts.body import BodyConfig
from recsys.training.body_model import TrainableBody

CONFIG = BodyConfig(width=8, heads=1, layers=1, length=4, dropout=0.0)
N_ITEMS = 6


@pytest.fixture(scope="module")
def model() -> TrainableBody:
    torch.manual_seed(2)
    return TrainableBody(CONFIG, N_ITEMS).eval()


def by_hand(model: TrainableBody, sequence: list[int], negatives: list[int]) -> float:
    [table] = [parameter for name, parameter in model.named_parameters() if "tables" in name]
    states = model.encoder(table[sequence[:-1]][None])[0]
    total = 0.0
    for state, target in zip(states, sequence[1:], strict=True):
        candidates = [target, *(negative for negative in negatives if negative != target)]
        total += float(functional.cross_entropy((table[candidates] @ state)[None], torch.tensor([0])))
    return total


def test_the_loss_is_that_of_a_plain_loop_without_negatives_that_are_the_target(model):
    sequences = torch.tensor([[1, 2, 3, 4, 5], [6, 2, 0, 0, 0], [3, 3, 1, 0, 0]])
    negatives = [2, 5, 5, 1]
    with torch.no_grad():
        loss, events = model(sequences, torch.tensor(negatives))
        expected = sum(by_hand(model, [item for item in row if item], negatives) for row in sequences.tolist())
    assert int(events) == 4 + 1 + 2
    assert float(loss) == pytest.approx(expected, rel=1e-5)


def test_more_padding_changes_nothing(model):
    negatives = torch.tensor([4, 5])
    with torch.no_grad():
        tight, _ = model(torch.tensor([[1, 2, 3]]), negatives)
        wide, _ = model(torch.tensor([[1, 2, 3, 0, 0]]), negatives)
    assert float(wide) == pytest.approx(float(tight), rel=1e-5)


def test_when_every_negative_is_the_target_there_is_nothing_to_lose(model):
    with torch.no_grad():
        loss, events = model(torch.tensor([[1, 2]]), torch.tensor([2, 2]))
    assert (float(loss), int(events)) == (0.0, 1)


def test_single_events_predict_nothing(model):
    with torch.no_grad():
        loss, events = model(torch.tensor([[1, 0]]), torch.tensor([2]))
    assert (float(loss), int(events)) == (0.0, 0)


def test_gradients_reach_table_and_encoder():
    model = TrainableBody(CONFIG, N_ITEMS)
    loss, _ = model(torch.tensor([[1, 2, 3, 0, 0]]), torch.tensor([4, 5]))
    loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
