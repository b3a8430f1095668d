"""Closed-form experts that follow the log: counts are refreshed where they are kept, the rest is fitted anew."""

from __future__ import annotations

from functools import partial

import numpy as np

from recsys.context.sequences import Sequences
from recsys.experts.changes import Changes
from recsys.experts.long_term import LongTermConfig
from recsys.experts.memory import MemoryConfig
from recsys.experts.protocol import Expert
from recsys.experts.refresh import LongTermCounts, MemoryCounts
from recsys.training.attributes import ItemAttributes
from recsys.training.config import TrainConfig
from recsys.training.experts import LONG_TERM, Fit, closed_form_fits, fit_closed_form
from recsys.training.kept_counts import Counted, KeptCounts
from recsys.training.progress import Progress


def follow(
    sequences: Sequences,
    changed: Changes,
    counted: Counted,
    kept: KeptCounts,
    attributes: ItemAttributes,
    config: TrainConfig,
    *,
    clock: bool,
    repeats: bool,
    progress: Progress,
) -> dict[str, Expert]:
    """Fits every closed-form expert that the data can have, in the scoring network's order.

    Args:
        sequences: the events to fit on.
        changed: what is other in them than in those that the kept counts are of; what is not kept is counted whole.
        counted: what these sequences are, written down beside the new counts.
        kept: where counts are taken from and left.
        attributes: of items.
        config: the settings that the model was trained with.
        clock: whether event times are real.
        repeats: whether items repeat.
        progress: told each expert.

    Raises:
        TrainingError: a ridge is too small to solve for the weights.
    """
    fits = closed_form_fits(sequences, attributes, config, clock=clock, repeats=repeats)
    n_items, described = attributes.n_items, attributes.matrix()
    same = np.arange(n_items + 1)

    def memory(name: str, settings: MemoryConfig) -> Expert:
        known = kept.read(name)
        if isinstance(known, MemoryCounts) and known.are_of(settings, n_items):
            counts = known.refresh(changed, same, n_items)
        else:
            counts = MemoryCounts.of(sequences, n_items, settings)
        kept.write(name, counts)
        return counts.solve(settings, described)

    def long_term(settings: LongTermConfig) -> Expert:
        known = kept.read(LONG_TERM)
        if isinstance(known, LongTermCounts) and known.are_of(n_items):
            counts = known.refresh(changed, same, n_items)
        else:
            counts = LongTermCounts.of(sequences, n_items)
        kept.write(LONG_TERM, counts)
        return counts.solve(settings)

    counting: dict[str, Fit] = {
        name: partial(memory, name, settings) for name, settings in config.memories.items() if name in fits
    }
    if config.long_term is not None and LONG_TERM in fits:
        counting[LONG_TERM] = partial(long_term, config.long_term)
    kept.begin()
    fitted = fit_closed_form({**fits, **counting}, progress, "following the log")
    kept.finish(counted, counting)
    return fitted
