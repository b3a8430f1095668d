"""Counts behind closed-form memories by Ray tasks, each over the events of other users; the sum is everybody's.

A task is handed its users' events alone. Shards are added in their order, so that the same shards give the same counts.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import fields
from typing import Any, TypeVar

import torch
from scipy import sparse

from recsys.cluster import ADDRESS_VARIABLE, ray_cluster
from recsys.context.sequences import Sequences
from recsys.errors import TrainingError, last_line
from recsys.experts.counting import by_events
from recsys.experts.long_term import LongTermConfig, LongTermMemory
from recsys.experts.memory import MemoryConfig, SequenceMemory
from recsys.experts.refresh import LongTermCounts, MemoryCounts

RETRIES = 3
"""How often a task that failed or whose process died is tried again."""
Counts = TypeVar("Counts", MemoryCounts, LongTermCounts)


def shards_here(configured: int | None) -> int:
    """Into how many shards events are cut: as many as are configured, else one a CPU of a cluster that is joined.

    Args:
        configured: None: 1 where no cluster is joined, which is faster on one machine.
    """
    if configured is not None or not os.environ.get(ADDRESS_VARIABLE):
        return configured or 1
    import ray

    with ray_cluster():
        return max(int(ray.cluster_resources().get("CPU", 1)), 1)  # type: ignore[no-untyped-call]


def fit_sequence_memory_in_shards(
    sequences: Sequences, n_items: int, config: MemoryConfig, attributes: sparse.csr_matrix | None, shards: int
) -> SequenceMemory:
    """`fit_sequence_memory` with its counts from `shards` tasks; equal but for rounding.

    Raises:
        TrainingError: the ridges are too small to solve for the weights, or a task failed again and again.
        ClusterError: Ray could not be started or joined.
    """
    return counted_in_shards(sequences, shards, lambda own: MemoryCounts.of(own, n_items, config)).solve(
        config, attributes
    )


def fit_long_term_memory_in_shards(
    sequences: Sequences, n_items: int, config: LongTermConfig, shards: int
) -> LongTermMemory:
    """`fit_long_term_memory` likewise: whole numbers, so the very same."""
    return counted_in_shards(sequences, shards, lambda own: LongTermCounts.of(own, n_items)).solve(config)


def counted_in_shards(sequences: Sequences, shards: int, count: Callable[[Sequences], Counts]) -> Counts:
    """What `count` gives for all sequences, as the sum of what it gives for disjoint shards of the users.

    Args:
        sequences: everybody's.
        shards: how many tasks, at most one a user; as many at a time as there are CPUs.
        count: gives counts that are sums over users.

    Raises:
        TrainingError: a task failed again and again.
        ClusterError: Ray could not be started or joined.
    """
    import ray

    total: Counts | None = None
    with ray_cluster():
        try:
            for counts in _in_order(by_events(sequences, shards), count):
                if total is None:  # what comes out of Ray's store may be read-only
                    total = type(counts)(**_each(counts, lambda tensor: tensor.clone()))
                else:
                    _add(total, counts)
        except ray.exceptions.RayError as error:
            raise TrainingError(
                f"Counting for a memory failed: {last_line(error)}. A process that dies is replaced {RETRIES} times. "
                "Nothing was registered. With more count_shards each task needs less memory."
            ) from error
    assert total is not None
    return total


def _in_order(parts: list[Sequences], count: Callable[[Sequences], Counts]) -> Iterator[Counts]:
    """Each part's counts, counted in tasks; no more are under way than there are CPUs."""
    import ray

    remote = ray.remote(num_cpus=1, max_retries=RETRIES, retry_exceptions=False)(count)
    at_once = max(int(ray.cluster_resources().get("CPU", 1)), 1)  # type: ignore[no-untyped-call]
    waiting, running = list(reversed(parts)), list[Any]()
    while waiting or running:
        while waiting and len(running) < at_once:
            running.append(remote.remote(waiting.pop()))
        yield ray.get(running.pop(0))


def _add(total: MemoryCounts | LongTermCounts, counts: MemoryCounts | LongTermCounts) -> None:
    """Adds counts onto others, in place."""
    for field in fields(total):
        own = getattr(total, field.name)
        if isinstance(own, torch.Tensor):
            own += getattr(counts, field.name)


def _each(counts: MemoryCounts | LongTermCounts, change: Callable[[torch.Tensor], torch.Tensor]) -> dict[str, Any]:
    """The fields of counts, with the tensors among them changed."""
    values = {field.name: getattr(counts, field.name) for field in fields(counts)}
    return {name: change(own) if isinstance(own, torch.Tensor) else own for name, own in values.items()}
