"""Imports Feast without having its classes compiled for type checks: these take half of the seconds that it costs.

Feast marks its classes with typeguard's `typechecked`, which reads, rewrites and compiles their source at each import,
unless Python runs with -O. What recsys passes to Feast is checked by mypy.
"""

from __future__ import annotations

import sys
import warnings
from typing import Any


def import_feast() -> None:
    """To be called before anything else imports Feast; does nothing where it is there already."""
    if "feast" in sys.modules:
        return
    import typeguard

    checked = typeguard.typechecked
    typeguard.typechecked = _unchanged
    try:
        with warnings.catch_warnings():  # importing Feast turns on every deprecation warning of the process
            import feast  # noqa: F401
    finally:
        typeguard.typechecked = checked


def _unchanged(target: Any = None, **_: object) -> Any:
    """Takes the place of the decorator, with arguments and without."""

    def same(decorated: Any) -> Any:
        return decorated

    return same if target is None else target
