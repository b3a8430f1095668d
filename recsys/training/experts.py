"""Stage one: every expert fitted on given sequences. Closed-form ones are cheap to fit again; the body is not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from scipy import sparse

from recsys.context.sequences import Sequences
from recsys.experts.content import fit_content
from recsys.experts.habit_fit import fit_habit
from recsys.experts.long_term import LongTermConfig, LongTermMemory, fit_long_term_memory
from recsys.experts.memory import MemoryConfig, SequenceMemory, fit_sequence_memory
from recsys.experts.novelty import NoveltyExpert
from recsys.experts.popularity import fit_popularity
from recsys.experts.protocol import Expert
from recsys.experts.repeat import RepeatExpert
from recsys.model.scoring import NOVELTY, POPULARITY
from recsys.training.attributes import ItemAttributes
from recsys.training.body_start import BodyStart
from recsys.training.config import TrainConfig
from recsys.training.counted_in_shards import (
    fit_long_term_memory_in_shards,
    fit_sequence_memory_in_shards,
    shards_here,
)
from recsys.training.distributed import BodyRun, fit_body_distributed
from recsys.training.progress import Progress
from recsys.training.windows import body_windows

Fit = Callable[[], Expert]
CONTENT, LONG_TERM, REPEAT, HABIT, TREND = "content", "long_term", "repeat", "habit", "trend"


def closed_form_fits(
    sequences: Sequences, attributes: ItemAttributes, config: TrainConfig, *, clock: bool, repeats: bool
) -> Mapping[str, Fit]:
    """How to fit each closed-form expert that the data can have, by name, in the scoring network's order."""
    n_items = attributes.n_items
    described = attributes.matrix()
    fits: dict[str, Fit] = {
        name: partial(_fit_memory, sequences, n_items, memory, described, config.count_shards)
        for name, memory in config.memories.items()
        if memory.max_items is None or n_items <= memory.max_items
    }
    if config.long_term is not None and (config.long_term.max_items is None or n_items <= config.long_term.max_items):
        fits[LONG_TERM] = partial(_fit_long_term, sequences, n_items, config.long_term, config.count_shards)
    if config.content is not None and attributes.n_attributes:
        fits[CONTENT] = partial(fit_content, sequences, n_items, described, config.content)
    if config.repeat is not None and repeats:
        aged = config.repeat.model_copy(update={"age": "days" if clock else "events"})
        fits[REPEAT] = partial(RepeatExpert, n_items, aged)
    if config.habit is not None and repeats:
        own = config.habit.model_copy(update={"age": "days" if clock else "events"})
        fits[HABIT] = partial(fit_habit, sequences, n_items, own, history_length=config.history_length)
    if repeats:
        fits[NOVELTY] = partial(NoveltyExpert, n_items)
    if config.trend is not None and clock:
        fits[TREND] = partial(fit_popularity, sequences, n_items, config.trend)
    fits[POPULARITY] = partial(fit_popularity, sequences, n_items, config.popularity)
    return fits


def _fit_memory(
    sequences: Sequences, n_items: int, config: MemoryConfig, described: sparse.csr_matrix, configured: int | None
) -> SequenceMemory:
    shards = shards_here(configured)
    if shards == 1:
        return fit_sequence_memory(sequences, n_items, config, described)
    return fit_sequence_memory_in_shards(sequences, n_items, config, described, shards)


def _fit_long_term(
    sequences: Sequences, n_items: int, config: LongTermConfig, configured: int | None
) -> LongTermMemory:
    shards = shards_here(configured)
    if shards == 1:
        return fit_long_term_memory(sequences, n_items, config)
    return fit_long_term_memory_in_shards(sequences, n_items, config, shards)


def fit_closed_form(fits: Mapping[str, Fit], progress: Progress, note: str) -> dict[str, Expert]:
    """Fits them all, in that order."""
    stage = progress.stage(f"closed-form experts ({note})", len(fits))
    fitted: dict[str, Expert] = {}
    for name, fit in fits.items():
        fitted[name] = fit()
        stage.advance(name)
    return fitted


def fit_body_expert(
    sequences: Sequences,
    attributes: ItemAttributes,
    config: TrainConfig,
    progress: Progress,
    *,
    clock: bool,
    start: BodyStart | None = None,
    kept: Path | None = None,
) -> BodyRun:
    """Fits the neural body through Ray Train, from nothing or from a start; `kept` as in `fit_body_distributed`."""
    stage = progress.stage(f"body on Ray Train ({config.workers} workers)", config.body_training.epochs)
    return fit_body_distributed(
        body_windows(sequences, config.body.length),
        attributes=attributes,
        body=config.body.model_copy(update={"clock": clock, "baskets": sequences.baskets}),
        config=config.body_training,
        workers=config.workers,
        seed=config.seed,
        on_epoch=lambda _, loss: stage.advance(f"loss {loss:.3f}"),
        start=start,
        kept=kept,
    )
