"""The body's step keeps to the device that its windows are on: shown on a pretended GPU."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from recsys.experts.body import BodyConfig
from recsys.training.attributes import ItemAttributes
from recsys.training.body_model import TrainableBody
from recsys.training.sharding import _whole
from tests.training.pretended_gpu import CPU, CUDA, OnGpu, pretended_gpu

N_ITEMS = 6
DESCRIBED = ([0], [0, 2], [], [1, 2, 0], [1], [2])
ROWS = torch.tensor([[1, 2, 3, 4, 5], [6, 2, 0, 0, 0], [3, 3, 1, 0, 0]])
TIMES = torch.tensor([[0, 1, 1, 2, 5], [3, 4, 0, 0, 0], [7, 9, 9, 0, 0]]) * 3_600_000_000
NEGATIVES = torch.tensor([2, 5, 5, 1])


class Tables(nn.Module):
    """In the place of torchrec's: what looks rows up, and takes only what lies beside them."""

    def __init__(self, tables: nn.ModuleDict) -> None:
        super().__init__()
        self.embeddings = tables

    def forward(self, asked):
        names = dict(zip(asked.keys(), self.embeddings, strict=True))
        assert asked.lengths().device == asked.values().device
        parts = torch.split(asked.values(), asked.lengths().cpu().tolist())
        found = [self.embeddings[names[key]](part) for key, part in zip(asked.keys(), parts, strict=True)]
        return {key: SimpleNamespace(values=lambda own=own: own) for key, own in zip(asked.keys(), found, strict=True)}


def body(attributes: ItemAttributes, **shape: object) -> TrainableBody:
    torch.manual_seed(2)
    made = TrainableBody(BodyConfig(width=8, heads=1, layers=2, length=4, **shape), attributes, asks_once=True).train()
    for parameter in made.encoder.parameters():
        nn.init.normal_(parameter, std=0.3)
    made.tables = Tables(made.tables.embeddings)
    return made


def test_tensors_of_both_devices_are_refused():
    with pretended_gpu():
        there = ROWS.to(CUDA)
        assert there.device == CUDA
        assert there.cpu().tolist() == ROWS.tolist()
        assert (there > torch.tensor(0)).device == CUDA
        assert there[torch.tensor([0, 2])].device == CUDA
        for wrong in (lambda: there + ROWS, lambda: ROWS[there > 0], lambda: torch.cat([there, ROWS])):
            with pytest.raises(RuntimeError, match="on two devices, cpu and cuda"):
                wrong()


@pytest.mark.parametrize("attention", ["gated", "softmax"])
@pytest.mark.parametrize("timed", [{}, {"clock": True}, {"baskets": True}], ids=["plain", "clock", "baskets"])
@pytest.mark.parametrize("negatives", [NEGATIVES, None], ids=["sampled", "all items"])
@pytest.mark.parametrize("described", [DESCRIBED, ([],) * N_ITEMS], ids=["described", "bare"])
def test_a_step_on_a_gpu_gives_the_loss_of_one_on_a_cpu(make_attributes, attention, timed, negatives, described):
    model = body(make_attributes(*described), dropout=0.0, attention=attention, **timed)
    with torch.no_grad():
        expected, events = model(ROWS, TIMES, negatives, half=False)
    with pretended_gpu():
        model.to(CUDA)
        drawn = None if negatives is None else negatives.to(CUDA)
        loss, predicted = model(ROWS.to(CUDA), TIMES.to(CUDA), drawn, half=False)
        assert (loss.device, predicted.device) == (CUDA, CUDA)
        assert float(loss.cpu()) == pytest.approx(float(expected), rel=1e-6)
        assert int(predicted.cpu()) == int(events)


def test_dropout_is_drawn_where_the_states_are(make_attributes):
    model = body(make_attributes(*DESCRIBED), dropout=0.5)
    with pretended_gpu():
        loss, _ = model.to(CUDA)(ROWS.to(CUDA), TIMES.to(CUDA), NEGATIVES.to(CUDA), half=False)
        assert loss.cpu().isfinite()


@pytest.mark.parametrize("attention", ["gated", "softmax"])
def test_the_newest_state_is_found_on_a_gpu_as_well(make_attributes, attention):
    encoder = body(make_attributes(*DESCRIBED), dropout=0.0, attention=attention, clock=True).encoder.eval()
    vectors, at = torch.randn(3, 4, 8), torch.tensor([3, 0, 2])
    with torch.no_grad():
        expected = encoder.newest(vectors, TIMES[:, :4], at)
    with pretended_gpu():
        found = encoder.to(CUDA).newest(vectors.to(CUDA), TIMES[:, :4].to(CUDA), at.to(CUDA))
        torch.testing.assert_close(found.cpu(), expected)


class OneShard:
    """In the place of a sharded table: nccl gathers between GPUs alone."""

    def __init__(self, rows: Tensor) -> None:
        self.rows = rows

    def metadata(self):
        return SimpleNamespace(size=self.rows.shape)

    def local_shards(self):
        return [SimpleNamespace(tensor=self.rows)]

    def gather(self, rank: int, out: Tensor | None) -> None:
        assert isinstance(out, OnGpu)
        out.copy_(self.rows)


def test_tables_are_gathered_where_they_are_and_come_back_on_the_cpu():
    with pretended_gpu():
        whole = _whole(OneShard(torch.arange(6.0).view(3, 2).to(CUDA)), 0)
    assert whole is not None
    assert whole.device == CPU
    assert whole.tolist() == [[0, 1], [2, 3], [4, 5]]
