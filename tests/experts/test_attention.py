"""The body's blocks: causal, aware of gaps in time, and a dropout that leaves out whole dimensions."""

import pytest
import torch

from recsys.experts.attention import GAP_BUCKETS, GatedBlock, LockedDropout, SoftmaxBlock, TimeInputs

WIDTH, LENGTH = 8, 6
SECOND, HOUR = 1_000_000, 3_600_000_000


@pytest.fixture(params=[GatedBlock, SoftmaxBlock])
def block(request) -> GatedBlock | SoftmaxBlock:
    """A block of each kind whose biases matter, as they do once trained."""
    torch.manual_seed(0)
    made = request.param(WIDTH, 2, LENGTH, 0.0, clock=True).eval()
    for name, bias in made.named_parameters():
        if name in ("position_bias", "gap_bias"):
            torch.nn.init.normal_(bias)
    return made


def states(seed: int = 1) -> torch.Tensor:
    return torch.randn(1, LENGTH, WIDTH, generator=torch.Generator().manual_seed(seed))


def gaps(*hours: float) -> torch.Tensor:
    return TimeInputs.gaps(torch.tensor([[int(hour * HOUR) for hour in hours]]))


@torch.no_grad()
@pytest.mark.parametrize("times", [(0, 1, 2, 30, 31, 400), (5, 5, 5, 1, 1, 1)])
def test_one_place_alone_is_what_all_places_give_there(block, times):
    vectors = torch.cat([states(seed) for seed in range(LENGTH)])
    at, apart = torch.arange(LENGTH), gaps(*times).expand(LENGTH, -1, -1)
    torch.testing.assert_close(block.newest(vectors, apart, at), block(vectors, apart)[at, at])
    torch.testing.assert_close(block.newest(vectors, None, at), block(vectors, None)[at, at])
    assert block.newest(vectors[:0], apart[:0], at[:0]).shape == (0, WIDTH)


@pytest.mark.parametrize("length", range(1, LENGTH + 1))
def test_biases_learn_the_same_from_one_place_and_from_all(block, length):
    vectors, at = torch.cat([states(seed) for seed in range(length)])[:, :length], torch.arange(length)
    apart = gaps(0, 1, 2, 30, 31, 400)[:, :length, :length].expand(length, -1, -1)
    learnt = []
    for found in (block.newest(vectors, apart, at), block(vectors, apart)[at, at]):
        block.zero_grad()
        found.square().sum().backward()
        learnt.append({name: own.grad.clone() for name, own in block.named_parameters() if own.grad is not None})
    torch.testing.assert_close(learnt[0], learnt[1])


def test_a_process_that_has_recommended_can_train():
    block = GatedBlock(WIDTH, 2, LENGTH + 1, 0.0, clock=False)
    with torch.inference_mode():
        block.eval()(states(), None)
    block.train()(states(), None).sum().backward()
    assert block.position_bias.grad is not None


@torch.no_grad()
@pytest.mark.parametrize("known", range(1, LENGTH))
def test_a_future_event_and_its_time_change_nothing(block, known):
    now = torch.arange(LENGTH).float()
    other = now.clone()
    other[known:] += 1_000
    vectors = states()
    changed = torch.cat([vectors[:, :known], states(2)[:, known:]], dim=1)
    before, after = block(vectors, gaps(*now.tolist())), block(changed, gaps(*other.tolist()))
    torch.testing.assert_close(before[:, :known], after[:, :known])
    assert not torch.allclose(before[:, known:], after[:, known:], atol=1e-2)


@torch.no_grad()
def test_another_gap_changes_the_states_after_it_alone(block):
    even, late = gaps(0, 1, 2, 3, 4, 5), gaps(0, 1, 2, 900, 901, 902)
    before, after = block(states(), even), block(states(), late)
    torch.testing.assert_close(before[:, :3], after[:, :3])
    assert all(not torch.allclose(before[:, n], after[:, n], atol=1e-3) for n in range(3, LENGTH))


@torch.no_grad()
def test_where_an_event_stands_matters_even_without_times(block):
    same = torch.ones(1, LENGTH, WIDTH) * torch.randn(WIDTH, generator=torch.Generator().manual_seed(0))
    same[:, 1] = states()[:, 1]
    moved = same.clone()
    moved[:, [1, 2]] = same[:, [2, 1]]
    assert not torch.allclose(block(same, None)[:, 4], block(moved, None)[:, 4], atol=1e-3)


def test_gaps_fall_into_buckets_twice_as_wide_each():
    seconds = torch.tensor([[0, 0, 1, 3, 8]]) * SECOND
    assert TimeInputs.gaps(seconds)[0, -1].tolist() == [3, 3, 3, 2, 0]
    assert TimeInputs.gaps(seconds)[0, 2].tolist() == [1, 1, 0, 0, 0], "later events are no gap"


def test_absurd_times_have_a_bucket_and_an_hour():
    times = torch.tensor([[-(2**62), -1, 2**62]])
    buckets = TimeInputs.gaps(times)
    assert int(buckets.min()) >= 0
    assert int(buckets.max()) == GAP_BUCKETS - 1
    assert torch.isfinite(TimeInputs(WIDTH).hours(times)).all()


def test_the_hour_is_that_of_the_day():
    inputs = TimeInputs(1)
    with torch.no_grad():
        inputs.hour_vectors.copy_(torch.arange(24.0)[:, None])
    times = torch.tensor([[0, HOUR - 1, HOUR, 25 * HOUR, 24 * HOUR - 1, -1]])
    assert inputs.hours(times)[0, :, 0].tolist() == [0, 0, 1, 1, 23, 23]


def test_locked_dropout_drops_whole_dimensions_and_keeps_the_mean():
    torch.manual_seed(0)
    dropped = LockedDropout(0.25).train()(torch.ones(40, 5, 50))
    assert torch.equal(dropped, dropped[:, :1].expand_as(dropped)), "the same dimensions along the sequence"
    assert dropped.unique().tolist() == pytest.approx([0.0, 1 / 0.75])
    assert float((dropped == 0).float().mean()) == pytest.approx(0.25, abs=0.03)
    assert not torch.equal(dropped[0], dropped[1]), "others for another sequence"


def test_locked_dropout_is_nothing_outside_training():
    ones = torch.ones(2, 3, 4)
    assert LockedDropout(0.5).eval()(ones) is ones
    assert LockedDropout(0.0).train()(ones) is ones
