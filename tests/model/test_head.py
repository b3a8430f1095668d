"""A head is a few numbers side by side: as many as it says, and nothing is lost by laying them flat."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from recsys.model.head import HeadConfig, HeadWeights, head_size, unflatten

KINDS = ("gains", "film", "lowrank", "full")


@given(st.sampled_from(KINDS), st.integers(1, 4), st.integers(1, 5), st.integers(1, 9), st.integers(0, 4))
def test_flat_and_unflatten_are_inverse(kind: str, rank: int, n_experts: int, width: int, batch: int):
    config = HeadConfig(kind=kind, rank=rank)
    size = head_size(config, n_experts, width)
    flat = torch.arange(batch * size, dtype=torch.float32).reshape(batch, size)
    head = unflatten(flat, config, n_experts, width)
    assert torch.equal(head.flat(), flat)
    assert head.gains.shape == (batch, n_experts)
    assert head.log_temperature.shape == (batch,)


@pytest.mark.parametrize(
    ("kind", "size", "parts"),
    [
        ("gains", 5, (False, False, False)),
        ("film", 5 + 64, (True, False, False)),
        ("lowrank", 5 + 64 + 64, (True, True, False)),
        ("full", 5 + 128, (True, False, True)),
    ],
)
def test_each_kind_has_its_numbers(kind, size, parts):
    config = HeadConfig(kind=kind, rank=8)
    assert head_size(config, 4, 64) == size
    head = unflatten(torch.zeros(1, size), config, 4, 64)
    assert tuple(part is not None for part in (head.film, head.core, head.offset)) == parts


def test_gains_and_temperature_come_first():
    head = HeadWeights(torch.tensor([[1.0, 2.0]]), torch.tensor([3.0]), core=torch.tensor([[[4.0, 5.0], [6.0, 7.0]]]))
    assert head.flat().tolist() == [[1, 2, 3, 4, 5, 6, 7]]


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValidationError):
        HeadConfig(kind="fancy")
