"""A drawn catalogue keeps the champion's items and looks like them; contexts mean the same in it."""

from __future__ import annotations

import torch

from benchmarks.load.drawn import drawn_recommender
from tests.ranking.large_models import ROWS, fitted_model, scoring_every_item

N_DRAWN = 9_000


def test_the_champions_items_come_first_and_the_drawn_ones_look_like_them():
    champion = scoring_every_item(fitted_model(repeats=True), repeats=True)
    drawn, _ = drawn_recommender(champion, N_DRAWN, seed=1)
    own = len(champion.vocabulary)
    assert drawn.vocabulary[:own] == champion.vocabulary
    assert len(drawn.vocabulary) == N_DRAWN
    was, now = champion.model.network.body.items[1:], drawn.model.network.body.items[1:]
    assert torch.equal(now[:own], was)
    torch.testing.assert_close(now[own:].std(0), was.std(0), rtol=0.15, atol=0)
    again, _ = drawn_recommender(champion, N_DRAWN, seed=1)
    assert torch.equal(again.model.network.body.items, drawn.model.network.body.items)


def test_a_real_context_has_the_same_state_and_a_list_in_it():
    champion = scoring_every_item(fitted_model(), repeats=False)
    drawn, _ = drawn_recommender(champion, N_DRAWN, seed=1)
    one, other = (own.model.network.body.states(own.encoder.encode(ROWS[:1])) for own in (champion, drawn))
    assert torch.equal(one, other)
    assert len(drawn.recommend(ROWS[:1], k=100)[0].item_ids) == 100
