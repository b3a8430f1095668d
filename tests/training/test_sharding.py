"""Sharded tables answer with the rows that were asked, and learn of each what all its places in a step say."""

import pytest
import torch

from recsys.errors import TrainingError
from recsys.experts.body import BodyConfig
from recsys.training import sharding
from recsys.training.attributes import ItemAttributes
from recsys.training.body_model import ATTRIBUTE_TABLE, ITEM_TABLE, BodyTrainingConfig, TrainableBody
from recsys.training.loop import _begun
from recsys.training.sharding import gathered_vectors

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning:torchrec")

BODY = BodyConfig(width=8, heads=1, layers=1, length=4, dropout=0.0)
DESCRIBED = ([0], [0, 2], [], [1, 2, 0], [1], [])
N_ITEMS = len(DESCRIBED)


@pytest.fixture(params=["plain", "described"])
def attributes(request, make_attributes) -> ItemAttributes:
    return make_attributes(*DESCRIBED) if request.param == "described" else ItemAttributes.none(N_ITEMS)


@pytest.fixture
def tables(one_worker, attributes):
    """Makes the body as it begins; the same one each time. Gives what looks rows up, and what tells the tables."""

    def make():
        torch.manual_seed(7)
        state = _begun(attributes, BODY, BodyTrainingConfig(table_learning_rate=0.5), one_worker, 7, 100, None)
        (body,) = [module for module in state.sharded.modules() if isinstance(module, TrainableBody)]
        return body._vectors, lambda: gathered_vectors(state.sharded, 0)

    return make


def expected(tables: dict[str, torch.Tensor], items: list[int]) -> torch.Tensor:
    rows = []
    for item in items:
        own = DESCRIBED[item - 1] if item and ATTRIBUTE_TABLE in tables else []
        rows.append(tables[ITEM_TABLE][item] + (tables[ATTRIBUTE_TABLE][own].mean(0) if own else 0))
    return torch.stack(rows)


@pytest.mark.parametrize("items", [[1, 2, 3, 4, 5, 6], [4], [3, 6, 0], [2, 2, 4, 2, 0, 0]], ids=str)
def test_rows_come_in_the_order_in_which_they_were_asked(tables, items):
    look_up, told = tables()
    torch.testing.assert_close(look_up(torch.tensor(items)), expected(told(), items))


def test_a_row_that_is_asked_twice_learns_the_sum(tables):
    learnt = []
    for items, gradient in (([2, 4, 2], [1.0, 3.0, 1.0]), ([2, 4], [2.0, 3.0])):
        look_up, told = tables()
        look_up(torch.tensor(items)).backward(torch.tensor(gradient)[:, None] * torch.linspace(-1, 1, 8))
        learnt.append(told())
    for name, table in learnt[0].items():
        torch.testing.assert_close(table, learnt[1][name])


def test_rows_that_nobody_asked_stay_as_they_were(tables):
    look_up, told = tables()
    before = told()
    look_up(torch.tensor([3, 6])).backward(torch.ones(2, 8))
    after = told()
    moved = (after[ITEM_TABLE] != before[ITEM_TABLE]).any(1)
    assert moved.nonzero()[:, 0].tolist() == [3, 6]
    if ATTRIBUTE_TABLE in before:
        assert torch.equal(after[ATTRIBUTE_TABLE], before[ATTRIBUTE_TABLE]), "these items have none"


def test_another_torchrec_that_keeps_its_kernels_elsewhere_is_refused(tables, monkeypatch):
    parallel = sharding.DistributedModelParallel

    def other(*arguments, **named):
        made = parallel(*arguments, **named)
        for module in made.modules():
            if hasattr(module, "_lookups"):
                module._elsewhere = module.__dict__.pop("_lookups")
        return made

    monkeypatch.setattr(sharding, "DistributedModelParallel", other)
    with pytest.raises(
        TrainingError, match=r"torchrec \S+ keeps the tables' kernels elsewhere .* requirements/lock.txt"
    ):
        tables()


def test_a_step_without_rows_changes_nothing(tables):
    look_up, told = tables()
    before = told()
    found = look_up(torch.zeros(0, dtype=torch.int64))
    assert found.shape == (0, 8)
    found.sum().backward()
    assert all(torch.equal(table, before[name]) for name, table in told().items())
