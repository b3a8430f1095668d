"""The quickstart's visit to the HTTP service: start it, ask, post an event, ask again, stop it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from recsys.client import Client, RecommendationReply
from recsys.serving.processes.process import served
from recsys.workspace import Workspace

VISITOR_TITLES = ("Toy Story", "Aladdin", "The Lion King")
_SHOWN = 10
Reply = TypeVar("Reply")


@dataclass(frozen=True, slots=True)
class ServiceTour:
    """What the service said.

    Attributes:
        known: titles recommended to the known user.
        visitor_history: the three movies that all is known of the visitor.
        visitor: titles recommended to the visitor.
        event_title: the movie that the known user then watched.
        after: titles recommended to the known user after the event.
        milliseconds: of the three questions and the event, in order of asking.
        docs: address of the API's documentation while it ran.
    """

    known: tuple[str, ...]
    visitor_history: tuple[str, ...]
    visitor: tuple[str, ...]
    event_title: str
    after: tuple[str, ...]
    milliseconds: tuple[float, ...]
    docs: str

    def summary(self) -> str:
        """How the event changed the answer."""
        stayed = sum(title in self.known for title in self.after)
        return f"one posted event changed the known user's list ({stayed} of {len(self.after)} stayed)"


def visit(workspace: Workspace, user_id: str) -> ServiceTour:
    """Starts the service on a free port, asks it, and stops it.

    Args:
        workspace: with a champion.
        user_id: a user that it knows; the event posted is that the user took the first recommendation.
    """
    milliseconds: list[float] = []

    def timed(ask: Callable[[], Reply]) -> Reply:
        started = time.perf_counter()
        reply = ask()
        milliseconds.append((time.perf_counter() - started) * 1000)
        return reply

    history = _items(workspace, VISITOR_TITLES)
    with served(workspace) as service, Client(service.url) as client:
        client.recommend(user_id, k=_SHOWN)
        known = timed(lambda: client.recommend(user_id, k=_SHOWN))
        visitor = timed(lambda: client.recommend(history=history, k=_SHOWN))
        taken = known.items[0]
        event_id = f"quickstart-{user_id}-{taken.item_id}"
        timed(lambda: client.post_events({"user_id": user_id, "item_id": taken.item_id, "event_id": event_id}))
        after = timed(lambda: client.recommend(user_id, k=_SHOWN))
        docs = f"{service.url}/docs"
    return ServiceTour(
        known=_titles(known),
        visitor_history=VISITOR_TITLES,
        visitor=_titles(visitor),
        event_title=str(taken.title or taken.item_id),
        after=_titles(after),
        milliseconds=tuple(milliseconds),
        docs=docs,
    )


def _items(workspace: Workspace, titles: tuple[str, ...]) -> list[str]:
    import polars as pl

    from recsys import columns
    from recsys.data.catalogue import Catalogue

    catalogue = Catalogue.load(workspace)
    title = catalogue.schema.title or columns.ITEM_ID
    found = catalogue.items.filter(pl.col(title).is_in(titles))
    return found.unique(title, keep="first", maintain_order=True)[columns.ITEM_ID].to_list()


def _titles(reply: RecommendationReply) -> tuple[str, ...]:
    return tuple(str(item.title or item.item_id) for item in reply.items)
