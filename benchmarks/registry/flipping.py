"""Flips the champion by promote and rollback while a service answers, and says what came of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.registry.traffic import Traffic, expected_answers
from benchmarks.registry.versions import allow
from recsys.client import Client
from recsys.registry.promotion import champion_version, promote, rollback
from recsys.serving.processes.process import ServerProcess
from recsys.workspace import Workspace

FOLLOW_SECONDS = 120.0
_WINDOWS = 20


def flip(
    workspace: Workspace,
    service: ServerProcess,
    other: str,
    *,
    flips: int,
    rate: float,
    users: list[str],
    progress: Callable[[int], None] = lambda done: None,
) -> dict[str, Any]:
    """Promotes `other` and rolls back, in turn; after each flip waits until the service says the new version.

    Args:
        workspace: whose champion.
        service: serving it.
        other: the version that is promoted; the present champion is what a rollback restores.
        flips: how many moves; an even number ends where it began.
        rate: requests a second meanwhile.
        users: stored users that are asked about.
        progress: told after each flip.

    Returns:
        Plain figures; `failed` and `wrong` are what must be empty.
    """
    first = champion_version(workspace)
    expected = {version: expected_answers(workspace, version, users) for version in (first, other)}
    differ = sum(expected[first][user] != expected[other][user] for user in users)
    memory, move_seconds, follow_seconds = [], [], []
    started = time.monotonic()
    with Traffic(service.url, expected, rate=rate) as traffic, Client(service.url, timeout=60.0, attempts=1) as client:
        for number in range(flips):
            asked = time.monotonic()
            if number % 2 == 0:
                wanted = promote(workspace, other, by="flips", why=f"flip {number}", judge=allow).version_to
            else:
                wanted = rollback(workspace, by="flips", why=f"flip {number}").version_to
            moved = time.monotonic()
            _await(client, wanted, moved + FOLLOW_SECONDS)
            move_seconds.append(moved - asked)
            follow_seconds.append(time.monotonic() - moved)
            memory.append(resident_mb(service.process_id))
            progress(number + 1)
    seconds = time.monotonic() - started
    answered = sum(traffic.replies.values())
    return {
        "flips": flips,
        "seconds": round(seconds, 1),
        "requests": answered + sum(traffic.failed.values()),
        "requests_a_second": round((answered + sum(traffic.failed.values())) / seconds, 2),
        "replies_by_version": dict(traffic.replies),
        "failed": dict(traffic.failed),
        "degraded": dict(traffic.degraded),
        "wrong": traffic.wrong[:10],
        "wrong_replies": len(traffic.wrong),
        "users": len(users),
        "users_whose_answers_differ": differ,
        "milliseconds_of_a_reply": _percentiles(traffic.seconds),
        "milliseconds_of_a_move": _percentiles(move_seconds),
        "milliseconds_until_served": _percentiles(follow_seconds),
        "memory": memory_figures(memory),
    }


def memory_figures(memory_mb: list[float]) -> dict[str, Any]:
    """How flat resident memory is: means of twenty stretches, each against that of the second one (after warm-up).

    Args:
        memory_mb: after each flip, once the new version is served.
    """
    means = [float(part.mean()) for part in np.array_split(np.array(memory_mb), min(_WINDOWS, len(memory_mb)))]
    settled = means[1:] if len(means) > 1 else means
    changes = [mean / settled[0] - 1 for mean in settled]
    return {
        "mb_by_stretch": [round(mean, 1) for mean in means],
        "last_against_first": round(changes[-1], 4),
        "largest_change": round(max(changes, key=abs), 4),
    }


def resident_mb(process_id: int) -> float:
    """Resident memory of a process, mapped files included."""
    for line in Path(f"/proc/{process_id}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise ValueError(f"process {process_id} says nothing of its memory")


def _await(client: Client, version: str, deadline: float) -> None:
    while client.model().model_version != version:
        if time.monotonic() > deadline:
            raise TimeoutError(f"version {version} is not served {FOLLOW_SECONDS:.0f} s after it became the champion")
        time.sleep(0.02)


def _percentiles(seconds: list[float]) -> dict[str, float]:
    at = np.percentile(np.array(seconds) * 1_000, [50, 95, 99, 100])
    return {name: round(float(value), 1) for name, value in zip(("p50", "p95", "p99", "max"), at, strict=True)}
