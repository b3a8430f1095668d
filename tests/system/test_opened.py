"""A workspace opened at a prompt answers as the service does over it, and explains what is wrong with a context."""

from __future__ import annotations

import pytest

from recsys.errors import ConfigError
from recsys.jobs.opened import open_champion

pytestmark = pytest.mark.slow

HISTORY = ["f1", "f2", "f3"]


@pytest.fixture
def opened(workspace):
    return open_champion(workspace.name)


def answer(opened, context):
    [ranking] = opened.recommender.recommend([context], k=5)
    return list(zip(ranking.item_ids, opened.titles(ranking.item_ids), strict=True))


def served(reply):
    return [(item.item_id, item.title) for item in reply.items]


def test_it_answers_as_the_service_does(opened, client):
    profile = {"age": 30.0}
    assert answer(opened, opened.context("u20")) == served(client.recommend("u20", k=5))
    assert answer(opened, opened.context("u20", history=HISTORY)) == served(
        client.recommend("u20", history=HISTORY, k=5)
    )
    assert answer(opened, opened.context(history=HISTORY)) == served(client.recommend(history=HISTORY, k=5))
    assert answer(opened, opened.context(history=HISTORY, profile=profile)) == served(
        client.recommend(history=HISTORY, profile=profile, k=5)
    )


def test_a_context_of_nothing_says_so(opened):
    assert opened.context("nobody").degraded == "unknown_user"
    assert opened.context().degraded == "empty_context"


@pytest.mark.parametrize(
    ("context", "complaint"),
    [
        ({"profile": {"shoe": 43}}, "no such user column; this workspace has: age"),
        ({"profile": {"age": "old"}}, "This column is numeric"),
        ({"history": ["f1"] * 1_001}, "history: .* at most 1000"),
        ({"history": [""]}, "at least 1 character"),
    ],
)
def test_a_context_that_cannot_be_used_is_refused_with_the_reason(opened, context, complaint):
    with pytest.raises(ConfigError, match=complaint):
        opened.context(**context)
