"""From a ranking to the list in a reply: ranks, titles, explanations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest

from recsys.serving.messages.replies import Explanation, HistoryPart, RecommendedItem
from recsys.serving.ports import Explained, RankedItems


def listed(ranking: RankedItems, explained: Sequence[Explained], titles: Mapping[str, str]) -> list[RecommendedItem]:
    """One entry an item, best first.

    Args:
        ranking: the items with their scores.
        explained: why the first of them score as they do; as many as were asked for.
        titles: what items are called.
    """
    entries = zip(ranking.item_ids, ranking.scores, strict=True)
    return [
        RecommendedItem(
            item_id=item_id,
            rank=rank,
            score=score,
            title=titles.get(item_id),
            explanation=None if why is None else _explanation(why, titles),
        )
        for rank, ((item_id, score), why) in enumerate(zip_longest(entries, explained), start=1)
    ]


def _explanation(why: Explained, titles: Mapping[str, str]) -> Explanation:
    return Explanation(
        experts=dict(why.experts),
        history=[
            HistoryPart(item_id=item_id, title=titles.get(item_id), contribution=fall) for item_id, fall in why.history
        ],
    )
