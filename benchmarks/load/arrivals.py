"""Who asks what, and when: drawn before anything is sent, so that a slow reply delays no later request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import orjson

RECOMMENDATIONS, EVENTS, NOTHING = "/v1/recommendations", "/v1/events", "/healthz"
STORED, INLINE, AFTER_EVENT, EVENT, NO_OP = "stored", "inline", "after_event", "event", "no_op"
CHANGED = (INLINE, AFTER_EVENT)
K = 10
ZIPF_EXPONENT = 1.0
CHANGED_SHARE = 0.2
EVENT_AHEAD = 0.1


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request that will be sent.

    Attributes:
        at: seconds after the start.
        kind: what it is, for the figures.
        path: where it goes.
        body: JSON; empty: a GET.
    """

    at: float
    kind: str
    path: str
    body: bytes


class Population:
    """Users by how often they ask, and the items that they touch.

    Args:
        user_ids: everybody.
        item_ids: what can be touched.
        seed: of who comes first and of everything drawn later.
    """

    def __init__(self, user_ids: Sequence[str], item_ids: Sequence[str], seed: int = 7) -> None:
        self._draw = np.random.default_rng(seed)
        self._users = self._draw.permutation(np.array(user_ids))
        weights = 1.0 / np.arange(1, len(user_ids) + 1) ** ZIPF_EXPONENT
        self._share = weights / weights.sum()
        self._items = np.array(item_ids)

    def users(self, number: int) -> list[str]:
        """So many draws by popularity."""
        drawn: list[str] = self._draw.choice(self._users, number, p=self._share).tolist()
        return drawn

    def items(self, number: int) -> list[str]:
        """So many draws, each item alike."""
        drawn: list[str] = self._draw.choice(self._items, number).tolist()
        return drawn

    def mix(self, rate: float, seconds: float, changed: float = CHANGED_SHARE) -> list[Arrival]:
        """Recommendations at random times; of a share of them the context has just changed.

        Half of those bring an inline history of three items, half follow an event of the user's that is sent
        `EVENT_AHEAD` seconds before them, on top of the rate.
        """
        number = int(rate * seconds)
        times = np.sort(self._draw.uniform(EVENT_AHEAD, EVENT_AHEAD + seconds, number))
        kinds = self._draw.choice(
            [STORED, INLINE, AFTER_EVENT], number, p=[1 - changed, changed / 2, changed / 2]
        ).tolist()
        arrivals = []
        for at, kind, user in zip(times.tolist(), kinds, self.users(number), strict=True):
            context = {"history": [{"item_id": item} for item in self.items(3)]} if kind == INLINE else None
            body = {"user_id": user, "k": K} | ({} if context is None else {"context": context})
            if kind == AFTER_EVENT:
                arrivals.append(Arrival(at - EVENT_AHEAD, EVENT, EVENTS, self.event(user)))
            arrivals.append(Arrival(at, kind, RECOMMENDATIONS, orjson.dumps(body)))
        return sorted(arrivals, key=lambda arrival: arrival.at)

    def no_op(self, rate: float, seconds: float) -> list[Arrival]:
        """Requests that ask for nothing, at random times."""
        times = np.sort(self._draw.uniform(0, seconds, int(rate * seconds)))
        return [Arrival(at, NO_OP, NOTHING, b"") for at in times.tolist()]

    def event(self, user: str) -> bytes:
        """A user's event with some item."""
        return orjson.dumps({"events": [{"user_id": user, "item_id": self.items(1)[0]}]})
