"""Requests at a steady rate, each reply checked against what the version that it names gives."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from math import isclose
from types import TracebackType
from typing import Self

import torch

from recsys.client import Client, RecommendationReply
from recsys.context.batch import FeatureRow
from recsys.context.reader import FeastReader
from recsys.errors import RecsysError
from recsys.registry.client import registry
from recsys.registry.loading import load_recommender
from recsys.registry.versions import loaded_snapshot, read_version
from recsys.workspace import Workspace

Answer = tuple[tuple[str, float], ...]
"""(item id, score) of a reply, best first."""
K = 10
_ROUNDING = 1e-5
NOBODY = ""
"""Stands for an empty context, from which a user is answered whose stored one was not to be had in time."""


def expected_answers(workspace: Workspace, version: str, user_ids: Sequence[str]) -> dict[str, Answer]:
    """What a version must answer each user and `NOBODY`, computed beside the service from the same stores."""
    torch.set_num_threads(1)
    with registry(workspace) as client:
        snapshot = loaded_snapshot(workspace, read_version(client, workspace, version))
    rows = [*FeastReader(workspace, snapshot.schema).online(user_ids), FeatureRow(user_id=None)]
    recommender = load_recommender(snapshot, version)
    rankings = [recommender.recommend([row], k=K)[0] for row in rows]
    return {
        user: tuple(zip(ranking.item_ids, ranking.scores, strict=True))
        for user, ranking in zip((*user_ids, NOBODY), rankings, strict=True)
    }


def same(given: Answer, expected: Answer) -> bool:
    """Whether two answers are one model's: the same items in their order, scores but for rounding.

    The last bits of a product of matrices depend on where its tensors lie in memory.
    """
    return len(given) == len(expected) and all(
        item == own and isclose(score, other, rel_tol=_ROUNDING, abs_tol=_ROUNDING)
        for (item, score), (own, other) in zip(given, expected, strict=True)
    )


class Traffic:
    """So many requests a second until the block ends, whether or not the ones before were answered.

    Args:
        url: the service.
        expected: the answers of each version, by user.
        rate: requests a second.
        callers: connections.

    Attributes:
        replies: how many replies named each version.
        failed: what went wrong with a request, by message.
        degraded: how many replies were less than they could be, by reason.
        wrong: replies whose items or scores are not those of the version that they name (see `same`).
        seconds: (requests,) from when each was due to its answer.
    """

    def __init__(
        self, url: str, expected: Mapping[str, Mapping[str, Answer]], *, rate: float, callers: int = 16
    ) -> None:
        self.replies: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.degraded: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.seconds: list[float] = []
        self._expected = expected
        self._users = sorted(user for user in next(iter(expected.values())) if user != NOBODY)
        self._rate = rate
        self._local = threading.local()
        self._url = url
        self._pool = ThreadPoolExecutor(callers)
        self._stop = threading.Event()
        self._clock = threading.Thread(target=self._tick, name="traffic")

    def __enter__(self) -> Self:
        self._clock.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._clock.join()
        self._pool.shutdown(wait=True)

    def _tick(self) -> None:
        started, number = time.monotonic(), 0
        while not self._stop.is_set():
            due = started + number / self._rate
            if (early := due - time.monotonic()) > 0 and self._stop.wait(early):
                return
            self._pool.submit(self._ask, self._users[number % len(self._users)], due)
            number += 1

    def _ask(self, user: str, due: float) -> None:
        try:
            reply = self._client().recommend(user, k=K)
        except RecsysError as error:
            self.failed[str(error)[:200]] += 1
            return
        self.seconds.append(time.monotonic() - due)
        self._check(user, reply)

    def _check(self, user: str, reply: RecommendationReply) -> None:
        version = reply.model_version
        self.replies[version] += 1
        given = tuple((item.item_id, item.score) for item in reply.items)
        if reply.degraded is not None:
            self.degraded[reply.degraded.reason] += 1
        if not reply.context.stored:
            user = NOBODY
        expected = self._expected.get(version, {}).get(user, ())
        if not same(given, expected):
            self.wrong.append(f"version {version}, user {user}: {given[:2]} and not {expected[:2]}")

    def _client(self) -> Client:
        if not hasattr(self._local, "client"):
            self._local.client = Client(self._url, timeout=60.0, attempts=1)
        client: Client = self._local.client
        return client
