"""The body reads events in order and nothing else: not padding, not the batch, not the future."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from recsys.experts.body import BodyConfig, BodyExpert, SequenceEncoder, _rotate, _rotation

CONFIG = BodyConfig(width=8, layers=2, heads=2, length=6, dropout=0.5)
N_ITEMS = 9


@pytest.fixture(scope="module")
def body() -> BodyExpert:
    torch.manual_seed(0)
    items = torch.randn(N_ITEMS + 1, CONFIG.width)
    items[0] = 0
    return BodyExpert(SequenceEncoder(CONFIG), items)


def test_a_users_state_is_the_same_alone_and_beside_longer_histories(body, contexts):
    histories = [[1, 2], [3, 4, 5, 6, 7, 8], [9], [], [2, 2, 2, 2]]
    together = body.states(contexts(*histories))
    for row, history in enumerate(histories):
        for length in (6, 12):
            alone = body.states(contexts(history, length=length))
            torch.testing.assert_close(together[row : row + 1], alone, atol=1e-6, rtol=1e-5)


def test_the_state_is_the_encoders_after_the_newest_event(body, contexts):
    history = [3, 1, 4]
    with torch.no_grad():
        expected = body.encoder(body.items[torch.tensor([history])])[:, -1]
    torch.testing.assert_close(body.states(contexts(history)), expected)


def test_only_the_newest_events_within_the_length_are_looked_at(body, contexts):
    torch.testing.assert_close(
        body.states(contexts([9, 9, 1, 2, 3, 4, 5, 6])), body.states(contexts([1, 2, 3, 4, 5, 6]))
    )


def test_order_matters(body, contexts):
    one, other = body.states(contexts([1, 2, 3], [2, 1, 3]))
    assert not torch.allclose(one, other, atol=1e-3)


def test_without_an_event_the_state_is_zero_and_so_is_every_score(body, contexts):
    assert not body.states(contexts([], [])).any()
    assert not body.score(contexts([])).any()


def test_nobody_is_a_batch_of_none(body, contexts):
    assert body.states(contexts()).shape == (0, CONFIG.width)
    assert body.score(contexts()).shape == (0, N_ITEMS)


@settings(max_examples=25)
@given(st.integers(0, 4), st.integers(0, 2**31 - 1))
def test_a_later_event_changes_no_earlier_state(body, changed: int, seed: int):
    vectors = torch.randn(2, 6, CONFIG.width, generator=torch.Generator().manual_seed(seed))
    other = vectors.clone()
    other[:, changed + 1 :] = vectors.flip(0)[:, changed + 1 :]
    with torch.no_grad():
        before, after = body.encoder(vectors), body.encoder(other)
    torch.testing.assert_close(before[:, : changed + 1], after[:, : changed + 1])
    assert not torch.allclose(before[:, changed + 1 :], after[:, changed + 1 :], atol=1e-2)


def test_positions_are_relative_so_that_windows_may_begin_anywhere():
    vectors = torch.randn(1, 3, CONFIG.width, generator=torch.Generator().manual_seed(1))
    at_start = _rotate(vectors[:, None], tuple(part[:3] for part in _rotation(9, CONFIG.width)))
    later = _rotate(vectors[:, None], tuple(part[5:8] for part in _rotation(9, CONFIG.width)))
    torch.testing.assert_close(at_start @ at_start.mT, later @ later.mT, atol=1e-5, rtol=1e-5)


def test_scores_are_inner_products_with_the_item_vectors(body, contexts):
    context = contexts([1, 2], [5])
    torch.testing.assert_close(body.score(context), body.states(context) @ body.items[1:].T)


def test_it_is_rebuilt_from_its_tensors(body, contexts):
    tensors = dict(body.tensors())
    encoder = SequenceEncoder(CONFIG)
    encoder.load_state_dict({k.removeprefix("encoder."): v for k, v in tensors.items() if k.startswith("encoder.")})
    again = BodyExpert(encoder, tensors["items"])
    assert torch.equal(again.score(contexts([4, 2])), body.score(contexts([4, 2])))


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"width": 10, "heads": 1}, "multiple of 4"),
        ({"width": 12, "heads": 5}, "does not split into 5 heads"),
        ({"width": 12, "heads": 4}, "does not split into 4 heads"),
        ({"width": 4}, "greater than or equal to 8"),
        ({"dropout": 1.0}, "less than 1"),
    ],
)
def test_shapes_that_cannot_work_are_refused_at_once(wrong, told):
    with pytest.raises(ValidationError, match=told):
        BodyConfig(**wrong)
