"""Chooses the sequence memory's decays, windows and ridges within a number of seconds.

Knows not what a memory is judged by: whoever calls says so, on validation and never on test.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from scipy import sparse
from torch import Tensor

from recsys.errors import TrainingError
from recsys.experts.memory import MemoryConfig, SequenceMemory, solve_sequence_memory
from recsys.training.memory_neighbours import Neighbour, neighbours, settled
from recsys.training.shared_grams import SharedGrams

Judge = Callable[[SequenceMemory], float]
"""How good a fitted memory is; higher is better."""

_FAILED = float("-inf")


@dataclass(frozen=True, slots=True)
class Trial:
    """One setting that was fitted and judged.

    Attributes:
        config: the setting.
        changed: what differs from the best one before it, in words.
        value: what the judge said; minus infinity where the setting cannot be solved.
        seconds: counting, solving and judging.
        better: whether it was the best so far.
    """

    config: MemoryConfig
    changed: str
    value: float
    seconds: float
    better: bool

    @property
    def solved(self) -> bool:
        """Whether the setting could be solved for at all."""
        return self.value > _FAILED


@dataclass(frozen=True, slots=True)
class MemorySearch:
    """What a search found.

    Attributes:
        best: the best setting.
        memory: fitted with it.
        trials: all that were tried, in order; the first is the setting that the search began with.
        finished: whether no neighbour was left to try; otherwise the seconds were over.
    """

    best: MemoryConfig
    memory: SequenceMemory
    trials: tuple[Trial, ...]
    finished: bool


def search_memory(
    grams: SharedGrams,
    start: MemoryConfig,
    judge: Judge,
    *,
    seconds: float,
    longest_window: int,
    clock: Callable[[], float] = time.monotonic,
    on_trial: Callable[[Trial], None] = lambda _: None,
) -> MemorySearch:
    """Coordinate search: from the given setting to whichever neighbour is better, until none is or time is over.

    Settings that need no counting (ridges, attributes) come first. A trial is begun only where it would still end in
    time, were counting and judging to take as long as the longest so far; the first one is always made.

    Args:
        grams: the counts, shared by all trials.
        start: the setting to begin with; a catalogue that gets its fallback begins with that.
        judge: on validation.
        seconds: how long all may take.
        longest_window: no window looks further back.
        clock: seconds from anywhere.
        on_trial: told each trial as it ends.

    Raises:
        TrainingError: the first setting's ridges are too small to solve with, or the judge cannot judge.
    """
    run = _Run(grams, judge, seconds, clock, on_trial)
    best = run.first(settled(start, grams.n_items))
    tried, cut_short, moved = {best}, False, True
    while moved:
        moved = False
        for neighbour in neighbours(best, grams.n_items, longest_window, described=grams.described):
            if neighbour.config in tried:
                continue
            if not run.in_time(neighbour.config):
                cut_short = True
                continue
            tried.add(neighbour.config)
            if run.make(neighbour):
                best, moved, cut_short = neighbour.config, True, False
                break
    assert run.memory is not None
    return MemorySearch(best, run.memory, tuple(run.trials), not cut_short)


class _Run:
    """The trials made so far, and whether another one would end in time."""

    def __init__(
        self,
        grams: SharedGrams,
        judge: Judge,
        seconds: float,
        clock: Callable[[], float],
        on_trial: Callable[[Trial], None],
    ) -> None:
        self._grams, self._judge, self._clock, self._on_trial = grams, judge, clock, on_trial
        self._end = clock() + seconds
        self._counting = self._rest = 0.0
        self.trials: list[Trial] = []
        self.memory: SequenceMemory | None = None
        self._value = _FAILED

    def first(self, config: MemoryConfig) -> MemoryConfig:
        """Fits and judges where the search begins."""
        if not self.make(Neighbour(config, "as it was")):
            raise TrainingError("The memory to begin with cannot be solved for: its ridges are too small. Raise them.")
        return config

    def in_time(self, config: MemoryConfig) -> bool:
        """Whether a trial would be over before the seconds are, judging by the longest so far."""
        counting = 0.0 if self._grams.knows(config) else self._counting
        return self._clock() + counting + self._rest <= self._end

    def make(self, neighbour: Neighbour) -> bool:
        """Fits and judges a setting; whether it is the best so far."""
        began, config = self._clock(), neighbour.config
        gram, cross, described = self._grams.system(config)
        counted = self._clock()
        memory = _solved(gram, cross, config, described)
        value = _FAILED if memory is None else self._judge(memory)
        better = value > self._value
        if better:
            self.memory, self._value = memory, value
        ended = self._clock()
        took = ended - began
        self._counting = max(self._counting, counted - began)
        self._rest = max(self._rest, ended - counted)
        self.trials.append(Trial(config, neighbour.changed, value, took, better))
        self._on_trial(self.trials[-1])
        return better


def _solved(
    gram: Tensor, cross: Tensor, config: MemoryConfig, described: sparse.csr_matrix | None
) -> SequenceMemory | None:
    try:
        return solve_sequence_memory(gram, cross, config, described)
    except TrainingError:
        return None
