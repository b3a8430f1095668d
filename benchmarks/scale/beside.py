"""Rounds of a peer and of ours in turn, summed up as users a second and as ratios within each round."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from benchmarks.scale.asking import NotReachedError

_PAUSE = 0.5
"""Seconds between two: threads of the one before stop spinning."""


class Asked(Protocol):
    """Who recommends to everybody on request."""

    def round(self) -> Mapping[str, Any]:
        """Seconds and the number of recommended items."""
        ...

    def stop(self) -> None:
        """Ends it, whatever it is at."""
        ...


class Ours(Protocol):
    """The same by the name of a line: `Workers`."""

    def round(self, name: str) -> Mapping[str, Any]: ...


def measured_beside(peer: Asked | None, ours: Ours, lines: Sequence[str], users: int, rounds: int) -> dict[str, Any]:
    """Asks ours and the peer in turn; the first turn of everybody warms up and does not count.

    Args:
        peer: None: the peer is not there, and only ours is measured.
        ours: our processes.
        lines: of ours.
        users: to how many each recommends.
        rounds: how many turns count.

    Returns:
        Users a second of each, their medians, and of each line the median ratio to the peer's speed in the same turn.
        A peer that did not get there is stopped, and its turns before count. Where there are none, it says how long it
        was waited for and the speed that this leaves it at most; the ratios are then what they are at least.
    """
    seconds: dict[str, list[float]] = {name: [] for name in lines}
    recommended: dict[str, int] = {}
    of_peer: list[float] = []
    over: NotReachedError | None = None
    for turn in range(rounds + 1):
        for name in lines:
            time.sleep(_PAUSE)
            done = ours.round(name)
            recommended[name] = int(done["recommended"])
            seconds[name] += [float(done["seconds"])] if turn else []
        if peer is None or over is not None:
            continue
        time.sleep(_PAUSE)
        try:
            done = peer.round()
        except NotReachedError as error:
            peer.stop()
            over = error
            continue
        recommended["peer"] = int(done["recommended"])
        of_peer += [float(done["seconds"])] if turn else []
    found: dict[str, Any] = {
        "users": users,
        "rounds": rounds,
        "items_recommended": recommended,
        "ours": {name: _speed(own, users) for name, own in seconds.items()},
    }
    return found if peer is None else found | _beside(of_peer, over, seconds, users)


def _beside(
    peer: Sequence[float], over: NotReachedError | None, ours: Mapping[str, Sequence[float]], users: int
) -> dict[str, Any]:
    said = {} if over is None else {"not_reached": str(over)}
    if peer:
        return {"peer": _speed(peer, users) | said, "ratios": {name: _ratio(peer, own) for name, own in ours.items()}}
    assert over is not None
    return {
        "peer": {**said, "users_a_second_at_most": round(users / over.seconds, 1)},
        "ratios": {name: _ratio([over.seconds] * len(own), own) | {"at_least": True} for name, own in ours.items()},
    }


def _speed(seconds: Sequence[float], users: int) -> dict[str, Any]:
    each = [users / own for own in seconds]
    return {"users_a_second": round(statistics.median(each), 1), "each": [round(own, 1) for own in each]}


def _ratio(peer: Sequence[float], ours: Sequence[float]) -> dict[str, Any]:
    """Of the turns that both have."""
    each = [theirs / own for theirs, own in zip(peer, ours, strict=False)]
    return {
        "median": round(statistics.median(each), 3),
        "lowest": round(min(each), 3),
        "highest": round(max(each), 3),
    }
