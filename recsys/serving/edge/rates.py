"""How many requests a key may make. Counting is done by the library `limits`, in this process's memory."""

from __future__ import annotations

import math
import re
import time

import limits
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter

from recsys.errors import ConfigError

_RATE = re.compile(r"([1-9][0-9]{0,8})/(s|m|h|d)")
_UNITS = {"s": "second", "m": "minute", "h": "hour", "d": "day"}


def parsed_rate(text: str) -> limits.RateLimitItem:
    """A rate as it is written for a key.

    Args:
        text: a number and one of s, m, h and d: "100/s".

    Raises:
        ConfigError: it is none.
    """
    found = _RATE.fullmatch(text)
    if found is None:
        raise ConfigError(f"{text!r} is no rate: write a number and a unit of time, s, m, h or d, for example 100/s.")
    return limits.parse(f"{found[1]}/{_UNITS[found[2]]}")


class Rates:
    """Counts requests over sliding windows. Each process counts for itself."""

    def __init__(self) -> None:
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    async def seconds_to_wait(self, who: str, rate: str) -> int:
        """Counts one request.

        Args:
            who: whose.
            rate: how many are allowed.

        Returns:
            0 when it is within the rate, else the whole seconds until another one may be.
        """
        item = parsed_rate(rate)
        if await self._limiter.hit(item, who):
            return 0
        stats = await self._limiter.get_window_stats(item, who)
        return max(1, math.ceil(stats.reset_time - time.time()))
