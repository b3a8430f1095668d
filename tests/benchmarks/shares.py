"""Lines that a spawned process can import."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.scale.workers import Line


def counting(share: int, count: int) -> Mapping[str, Line]:
    """Says how many of ten users a share has, or fails."""

    def fail() -> int:
        raise ValueError("no such thing")

    return {"count": lambda: len(range(10)[share::count]), "fail": fail}
