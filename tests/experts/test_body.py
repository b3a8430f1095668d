"""The body reads events in order, and their times with a clock: not padding, not the batch, not the future."""

import json
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from recsys.experts.body import BodyConfig, BodyExpert, SequenceEncoder
from recsys.experts.kinds import rebuilt

CONFIG = BodyConfig(width=8, layers=2, heads=2, length=6, dropout=0.5)
N_ITEMS = 9


@pytest.fixture(scope="module", params=["gated", "softmax"])
def body(request) -> BodyExpert:
    torch.manual_seed(0)
    items = torch.randn(N_ITEMS + 1, CONFIG.width)
    items[0] = 0
    return BodyExpert(SequenceEncoder(CONFIG.model_copy(update={"attention": request.param})), items)


def test_a_users_state_is_the_same_alone_and_beside_longer_histories(body, contexts):
    histories = [[1, 2], [3, 4, 5, 6, 7, 8], [9], [], [2, 2, 2, 2]]
    together = body.states(contexts(*histories))
    for row, history in enumerate(histories):
        for length in (6, 12):
            alone = body.states(contexts(history, length=length))
            torch.testing.assert_close(together[row : row + 1], alone, atol=1e-6, rtol=1e-5)


def test_so_many_users_that_they_are_computed_in_blocks_keep_their_order(body, contexts):
    histories = [[1 + (n + m) % N_ITEMS for m in range(n % 7)] for n in range(60)]
    together = body.states(contexts(*histories))
    for row in (0, 1, 17, 38, 59):
        torch.testing.assert_close(together[row : row + 1], body.states(contexts(histories[row])), atol=1e-6, rtol=1e-5)


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


def test_scores_are_inner_products_with_the_item_vectors(body, contexts):
    context = contexts([1, 2], [5])
    torch.testing.assert_close(body.score(context), body.states(context) @ body.items[1:].T)


def test_without_a_clock_times_say_nothing(body, contexts):
    context = contexts([1, 2, 3])
    assert torch.equal(body.states(replace(context, times=context.times * 7)), body.states(context))


@pytest.fixture(scope="module")
def timed() -> BodyExpert:
    """A body that reads times, with hours and gaps that matter."""
    torch.manual_seed(0)
    items = torch.randn(N_ITEMS + 1, CONFIG.width)
    items[0] = 0
    encoder = SequenceEncoder(CONFIG.model_copy(update={"clock": True}))
    for name, parameter in encoder.named_parameters():
        if "gap_bias" in name or "hour_vectors" in name:
            torch.nn.init.normal_(parameter)
    return BodyExpert(encoder, items)


HOUR = 3_600_000_000


def at(contexts, *hours: int):
    context = contexts([1, 2, 3])
    return replace(context, times=torch.where(context.history > 0, torch.tensor([[0] * 9 + list(hours)]) * HOUR, 0))


def test_with_a_clock_another_gap_is_another_state(timed, contexts):
    soon, late = timed.states(at(contexts, 0, 1, 24)), timed.states(at(contexts, 0, 1, 24 * 90))
    assert not torch.allclose(soon, late, atol=1e-2)


def test_with_a_clock_the_same_gaps_at_another_hour_are_another_state_and_on_another_day_the_same(timed, contexts):
    morning = timed.states(at(contexts, 0, 1, 2))
    assert not torch.allclose(morning, timed.states(at(contexts, 12, 13, 14)), atol=1e-2)
    torch.testing.assert_close(morning, timed.states(at(contexts, 240, 241, 242)))


def test_with_a_clock_padding_and_the_batch_still_change_nothing(timed, contexts):
    histories = [[1, 2], [3, 4, 5, 6, 7, 8], []]
    together = timed.states(contexts(*histories))
    for row, history in enumerate(histories):
        expected = contexts(*histories)
        alone = timed.states(
            replace(contexts(history), times=expected.times[row : row + 1], history=expected.history[row : row + 1])
        )
        torch.testing.assert_close(together[row : row + 1], alone, atol=1e-5, rtol=1e-5)


def test_a_body_made_for_times_says_so_when_there_are_none(timed):
    with pytest.raises(ValueError, match="made for events with times"):
        timed.encoder(torch.zeros(1, 3, CONFIG.width))


def test_it_is_rebuilt_from_its_settings_and_tensors(body, timed, contexts):
    for one in (body, timed):
        again = rebuilt(one.kind, json.loads(json.dumps(one.settings())), dict(one.tensors()))
        assert torch.equal(again.score(contexts([4, 2], [])), one.score(contexts([4, 2], [])))


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"width": 10, "heads": 1}, "multiple of 4"),
        ({"width": 12, "heads": 5}, "does not split into 5 heads"),
        ({"width": 12, "heads": 4, "attention": "softmax"}, "does not split into 4 heads of softmax"),
        ({"width": 4}, "greater than or equal to 8"),
        ({"dropout": 1.0}, "less than 1"),
    ],
)
def test_shapes_that_cannot_work_are_refused_at_once(wrong, told):
    with pytest.raises(ValidationError, match=told):
        BodyConfig(**wrong)
