"""Leave-one-out: which events train, which is the target, what is known before it.

A user's last positive event is the test target, the one before it the validation target, the rest trains. Users with
fewer than three positive events train and are not evaluated. No timestamp of a target is an input.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import polars as pl

from recsys import columns
from recsys.context.sequences import Sequences
from recsys.errors import ConfigError, DataError
from recsys.events.ordering import positions_back

SplitName = Literal["validation", "test"]
HELD_BACK = 2
MINIMUM_EVENTS = HELD_BACK + 1


@dataclass(frozen=True, slots=True)
class Split:
    """Who is evaluated on what.

    Attributes:
        name: validation or test.
        user_ids: evaluated users.
        target_items: each user's target item id.
        moments: each target's effective moment; contexts hold what lies strictly before it.
    """

    name: SplitName
    user_ids: tuple[str, ...]
    target_items: tuple[str, ...]
    moments: tuple[int, ...]

    @classmethod
    def of(cls, name: SplitName, targets: pl.DataFrame) -> Split:
        """The split of a frame with user_id, item_id and effective_at, one row a user."""
        return cls(
            name=name,
            user_ids=tuple(targets[columns.USER_ID].to_list()),
            target_items=tuple(targets[columns.ITEM_ID].to_list()),
            moments=tuple(targets[columns.EFFECTIVE_AT].to_list()),
        )

    def __len__(self) -> int:
        return len(self.user_ids)


def split_name(text: str) -> SplitName:
    """The split of that name.

    Raises:
        ConfigError: there is none.
    """
    for name in get_args(SplitName):
        if text == name:
            return name  # type: ignore[no-any-return]
    raise ConfigError(f"There is no split '{text}': choose {' or '.join(get_args(SplitName))}.")


def leave_one_out(interactions: pl.DataFrame, name: SplitName) -> Split:
    """The evaluation split.

    Args:
        interactions: positive events in order, as `recsys.events.ordering.interactions` returns them.
        name: validation (each user's second last event) or test (the last).

    Raises:
        DataError: no user has enough events.
    """
    enough = interactions.filter(pl.len().over(columns.USER_ID) >= MINIMUM_EVENTS)
    targets = positions_back(enough, 1 if name == "test" else 2)
    if targets.is_empty():
        raise DataError(
            f"No user has {MINIMUM_EVENTS} positive events, the fewest that leave one to train on beside the "
            "validation and the test target. Import more events."
        )
    return Split.of(name, targets)


def training_sequences(sequences: Sequences) -> Sequences:
    """The events that may train: all but each evaluated user's last two."""
    held_back = (sequences.lengths >= MINIMUM_EVENTS).astype(int) * HELD_BACK
    return sequences.without_last(held_back)
