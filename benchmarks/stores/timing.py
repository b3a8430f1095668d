"""Latencies of repeated calls, summed up in milliseconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")
Summary = dict[str, float]


def timed(call: Callable[[T], object], arguments: Sequence[T], warm_up: int) -> list[float]:
    """Seconds of each call; the first `warm_up` arguments are called once before and not timed."""
    for argument in arguments[:warm_up]:
        call(argument)
    seconds = []
    for argument in arguments:
        started = time.perf_counter()
        call(argument)
        seconds.append(time.perf_counter() - started)
    return seconds


def summary(seconds: Sequence[float]) -> Summary:
    """Percentiles in milliseconds."""
    milliseconds = np.asarray(seconds) * 1_000
    return {
        "calls": len(milliseconds),
        "mean_ms": round(float(milliseconds.mean()), 4),
        "p50_ms": round(float(np.percentile(milliseconds, 50)), 4),
        "p99_ms": round(float(np.percentile(milliseconds, 99)), 4),
        "max_ms": round(float(milliseconds.max()), 4),
    }
