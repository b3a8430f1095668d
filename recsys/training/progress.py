"""How training says how far it is; the command line draws bars, tests watch nothing."""

from __future__ import annotations

from typing import Protocol


class Stage(Protocol):
    """Something that takes a known number of steps."""

    def advance(self, note: str = "") -> None:
        """One step further."""
        ...


class Progress(Protocol):
    """Where training says how far it is."""

    def stage(self, name: str, steps: int) -> Stage:
        """Begins a stage of so many steps; the one before it is over."""
        ...


class Silent:
    """Progress that nobody watches."""

    def stage(self, name: str, steps: int) -> Silent:
        """Begins a stage."""
        return self

    def advance(self, note: str = "") -> None:
        """One step further."""
