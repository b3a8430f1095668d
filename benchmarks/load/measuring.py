"""The rows of the service's table, each with what it is held against, measured in the same run."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from typing import Any

import httpx
import numpy as np
import torch

from benchmarks.load.arrivals import AFTER_EVENT, CHANGED, INLINE, STORED, Arrival, Population
from benchmarks.load.sending import Sent, send
from recsys.client import Client
from recsys.context.batch import ContextBatch, FeatureRow
from recsys.model.personal import Generated
from recsys.ranking.recommender import Recommender

MOST_P99_MS = 50.0
STEP = 1.2
_COUNTED = re.compile(r'^recsys_kept_heads_total\{outcome="(\w+)"\} ([\d.e+]+)$', re.MULTILINE)


def measure_mix(url: str, population: Population, rate: float, seconds: float) -> dict[str, Any]:
    """The mix at one rate, by what was asked for."""
    before = _kept(url)
    sent = send(url, population.mix(rate, seconds))
    after = _kept(url)
    looked = {outcome: after.get(outcome, 0) - before.get(outcome, 0) for outcome in ("hit", "miss")}
    recommendations = sent.of(STORED, *CHANGED)
    return {
        "rate": rate,
        "recommendations": percentiles(recommendations),
        "stored": percentiles(sent.of(STORED)),
        "context_just_changed": percentiles(sent.of(*CHANGED)),
        "inline": percentiles(sent.of(INLINE)),
        "after_an_event": percentiles(sent.of(AFTER_EVENT)),
        "events": percentiles(sent.of("event")),
        "hit_rate_of_all": round(looked["hit"] / len(recommendations), 4),
        "hit_rate_of_looks": round(looked["hit"] / max(sum(looked.values()), 1), 4),
        "behind_ms": round(sent.behind * 1_000, 2),
        "failed": dict(sent.failed),
    }


def highest_rate(
    url: str, arrivals: Callable[[float, float], list[Arrival]], first: float, seconds: float
) -> dict[str, Any]:
    """The highest rate in steps of a fifth at which p99 stays within bounds; a step that fails is tried once more."""
    rate, held, tried = first, 0.0, []
    while True:
        result = _tried(url, arrivals, rate, seconds)
        if not result["held"]:
            result = _tried(url, arrivals, rate, seconds)
        tried.append(result)
        if not result["held"]:
            return {"rate": round(held, 1), "steps": tried}
        held, rate = result["answered_a_second"], rate * STEP


def measure_effect(url: str, population: Population, number: int) -> dict[str, Any]:
    """From posting an event to a ranking that shows it, one after the other."""
    seconds, shown = [], 0
    with Client(url, timeout=30.0, attempts=1) as client:
        for user in population.users(number):
            before = client.recommend(user, k=10)
            taken = before.items[0].item_id
            started = time.perf_counter()
            client.post_events({"user_id": user, "item_id": taken})
            after = client.recommend(user, k=10)
            seconds.append(time.perf_counter() - started)
            shown += taken not in [item.item_id for item in after.items]
            time.sleep(0.02)
    return {**percentiles(np.array(seconds) * 1_000), "shown": shown, "asked": number}


def measure_heads(recommender: Recommender, rows: Sequence[FeatureRow]) -> dict[str, Any]:
    """Scoring with each user's own head beside scoring with the shared one, on the same experts, in this process."""
    torch.set_num_threads(1)
    model, network = recommender.model, recommender.model.network
    contexts = [recommender.encoder.encode([row]) for row in rows]
    kept = [model.forward(context).generated for context in contexts]
    contexts = [context.trimmed() for context in contexts]
    ways: dict[str, Callable[[ContextBatch, Generated], object]] = {
        "anew": lambda context, _: model.forward(context),
        "anew_shared": lambda context, _: model.shared_scores(network.outputs(context)),
        "kept": lambda context, made: model.again(made, network.others_say(context)),
        "kept_shared": lambda context, made: network.score_again(
            made.states, network.others_say(context), model.shared
        ),
    }
    own: dict[str, list[float]] = {name: [] for name in ways}
    for order in (list(ways), list(ways)[::-1]) * 2:
        for name in order:  # each way meets all contexts before the next one does, so that none finds another's cache
            own[name] += [_timed(ways[name], *pair) for pair in zip(contexts, kept, strict=True)]
    medians = {name: float(np.median(values)) * 1_000 for name, values in own.items()}
    return {
        "milliseconds": {name: round(value, 3) for name, value in medians.items()},
        "anew_ratio": round(medians["anew"] / medians["anew_shared"], 3),
        "kept_ratio": round(medians["kept"] / medians["kept_shared"], 3),
    }


def percentiles(milliseconds: np.ndarray) -> dict[str, float]:
    """p50, p95, p99 and the largest."""
    if not len(milliseconds):
        return {}
    at = np.percentile(milliseconds, [50, 95, 99, 100])
    return {"n": len(milliseconds)} | {
        name: round(float(value), 2) for name, value in zip(("p50", "p95", "p99", "max"), at, strict=True)
    }


def _tried(url: str, arrivals: Callable[[float, float], list[Arrival]], rate: float, seconds: float) -> dict[str, Any]:
    planned = arrivals(rate, seconds)
    try:
        sent = send(url, planned)
    except TimeoutError:
        return {"rate": round(rate, 1), "held": False, "answered_a_second": 0.0}
    asked = [kind for kind in sent.seconds if kind != "event"]
    p99 = percentiles(sent.of(*asked))["p99"]
    held = p99 <= MOST_P99_MS and not sent.failed
    return {
        "rate": round(rate, 1),
        "p99": p99,
        "held": held,
        "answered_a_second": round(_number(sent, asked) / sent.lasted, 1),
    }


def _number(sent: Sent, kinds: Sequence[str]) -> int:
    return sum(len(sent.seconds[kind]) for kind in kinds)


def _timed(work: Callable[..., object], *arguments: object) -> float:
    started = time.perf_counter()
    work(*arguments)
    return time.perf_counter() - started


def _kept(url: str) -> dict[str, float]:
    told = httpx.get(f"{url}/metrics", timeout=30.0, trust_env=False).text
    return {outcome: float(number) for outcome, number in _COUNTED.findall(told)}
