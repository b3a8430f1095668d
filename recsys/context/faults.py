"""What contexts held that had to be treated before a model could read them, in numbers. What is done: `treatment`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ContextFaults:
    """How often each fault was met. Events of unknown items are dropped first and have no other fault.

    Attributes:
        unknown_items: history events whose item is not in the vocabulary.
        values: history events whose value is NaN, infinite, or beyond float32.
        times: history events at or before 1970-01-01.
        order: history events that happened before the one that stands before them.
        records: seen items whose number of events or last time is negative.
        event_counts: contexts whose number of events is negative, NaN, infinite, or less than their history holds.
        profile_numbers: profile values that are NaN, infinite, or too large to be a number.
    """

    unknown_items: int = 0
    values: int = 0
    times: int = 0
    order: int = 0
    records: int = 0
    event_counts: int = 0
    profile_numbers: int = 0

    def __add__(self, other: ContextFaults) -> ContextFaults:
        return ContextFaults(**{name: number + getattr(other, name) for name, number in self.as_dict().items()})

    def __str__(self) -> str:
        return ", ".join(f"{name}={number}" for name, number in self.as_dict().items() if number)

    def as_dict(self) -> dict[str, int]:
        """Every number by name."""
        return {name: getattr(self, name) for name in self.__slots__}

    @property
    def unexpected(self) -> bool:
        """Whether there is any but unknown items, which are daily business: new items wait for the next training."""
        return any(number for name, number in self.as_dict().items() if name != "unknown_items")
