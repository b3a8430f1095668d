"""Many heads on the same experts, judged in one pass: the experts say their say once a context, each arm steers it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from benchmarks.units.arms import WARM, Arm
from benchmarks.units.bench import Bench
from recsys.context.batch import ContextBatch
from recsys.context.sequences import prefix_contexts, ragged_ranges
from recsys.evaluation.cases import HISTORY_LENGTH, Cases, case_blocks
from recsys.metrics.basket import PADDING, basket_ndcg, basket_ranks, basket_recall, padded_targets
from recsys.metrics.ranking import target_ranks
from recsys.model.scoring import ExpertOutputs, ScoringNetwork
from recsys.model.statistics import context_statistics

_BASKET_BLOCK = 128


@dataclass(frozen=True, slots=True)
class Say:
    """What an arm is given of a block of contexts.

    Attributes:
        outputs: the experts' say.
        statistics: (batch, n_statistics) what generators read beside the state.
        known: (batch,) bool, whether a context holds an event.
        users: (batch,) int64 position of each context's user.
    """

    outputs: ExpertOutputs
    statistics: Tensor
    known: Tensor
    users: np.ndarray


Steer = Callable[[Say], Tensor]
"""A block's say to (batch, n_items) logits."""


@dataclass(frozen=True, slots=True)
class Block:
    """Some cases.

    Attributes:
        users: (batch,) int64 position of each user.
        context: what is known.
        targets: (batch, most targets) int64 columns, padded with PADDING.
        masked: (batch, n_items) bool, what cannot be recommended; None: nothing.
        possible: (batch,) bool, whether a target may be recommended at all.
    """

    users: np.ndarray
    context: ContextBatch
    targets: Tensor
    masked: Tensor | None
    possible: np.ndarray


def judged_together(
    bench: Bench,
    network: ScoringNetwork,
    arms: Mapping[tuple[str, int], Steer],
    profile: np.ndarray,
    notes: Mapping[tuple[str, int], Mapping[str, object]],
    *,
    cases: Cases | None = None,
    protocol: str = WARM,
) -> list[Arm]:
    """The arms of many steers on the split's cases.

    Args:
        bench: data and split.
        network: the experts.
        arms: by name and seed.
        profile: (users, width) float32.
        notes: to keep beside each.
        cases: others than the split's own; single targets.
        protocol: what these cases are called.
    """
    ranks: dict[tuple[str, int], list[np.ndarray]] = {key: [] for key in arms}
    losses: dict[tuple[str, int], list[np.ndarray]] = {key: [] for key in arms}
    basket = bench.baskets and cases is None
    own = bench.basket_cases if basket else (bench.cases if cases is None else cases)
    with torch.no_grad():
        for block, say in case_contexts(bench, network, profile, cases):
            for key, steer in arms.items():
                scores = steer(say)
                ranks[key].append(_ranks(scores, block, bench.catalogue.n_items, basket=basket))
                losses[key].append(_losses(scores, block).numpy())
    found = []
    for name, seed in arms:
        values = {}
        rank = np.concatenate([_wide(part, ranks[name, seed]) for part in ranks[name, seed]])
        if basket:
            values = {"ndcg@10": basket_ndcg(rank, 10), "recall@10": basket_recall(rank, 10)}
        loss = np.concatenate(losses[name, seed])
        found.append(Arm(name, seed, rank[:, 0], loss, own.users, protocol, notes.get((name, seed), {}), values))
    return found


def case_contexts(
    bench: Bench, network: ScoringNetwork, profile: np.ndarray, cases: Cases | None = None
) -> Iterator[tuple[Block, Say]]:
    """Blocks of cases with what the experts say of their contexts.

    Args:
        bench: data and split.
        network: the experts.
        profile: (users, width) float32.
        cases: others than the split's own; single targets.
    """
    if bench.baskets and cases is None:
        blocks = _baskets(bench, profile)
    else:
        blocks = _single(bench, bench.cases if cases is None else cases, profile)
    clock = bench.dataset.schema.clock
    for block in blocks:
        outputs = network.outputs(block.context)
        told = context_statistics(block.context, outputs, network, clock=clock)
        yield block, Say(outputs, told, block.context.any_known, block.users)


def _single(bench: Bench, cases: Cases, profile: np.ndarray) -> Iterator[Block]:
    for block in case_blocks(bench.whole, cases, bench.catalogue, profile):
        masked = None if bench.catalogue.repeats else block.masked
        yield Block(cases.users[block.rows], block.context, block.targets[:, None], masked, block.possible.numpy())


def _baskets(bench: Bench, profile: np.ndarray) -> Iterator[Block]:
    cases, whole = bench.basket_cases, bench.whole
    for rows in np.array_split(np.arange(len(cases)), max(len(cases) // _BASKET_BLOCK, 1)):
        users, known, sizes = cases.users[rows], cases.known[rows], cases.sizes[rows]
        items = whole.items[ragged_ranges(whole.offsets[users] + known, sizes)]
        distinct = np.unique(np.stack([np.repeat(np.arange(len(rows)), sizes), items]), axis=1)
        targets = padded_targets(distinct[1] - 1, np.bincount(distinct[0], minlength=len(rows)))
        context = prefix_contexts(whole, users, known, profile, history_length=HISTORY_LENGTH)
        yield Block(users, context, targets, None, np.ones(len(rows), bool))


def _ranks(scores: Tensor, block: Block, n_items: int, *, basket: bool) -> np.ndarray:
    if basket:
        return basket_ranks(scores, block.targets)
    masked = torch.zeros_like(scores, dtype=torch.bool) if block.masked is None else block.masked
    found = target_ranks(scores, block.targets[:, 0], masked)
    return np.where(block.possible, found, n_items)[:, None]


def _losses(scores: Tensor, block: Block) -> Tensor:
    """(batch,) mean over a context's targets; that of a uniform guess where the target cannot be recommended."""
    allowed = scores if block.masked is None else scores.masked_fill(block.masked, -torch.inf)
    real = block.targets >= 0
    own = scores.gather(1, block.targets.clamp(min=0))
    loss = torch.where(real, allowed.logsumexp(1, keepdim=True) - own, 0.0).sum(1) / real.sum(1)
    uniform = torch.isfinite(allowed).sum(1).float().log()
    return torch.where(torch.from_numpy(block.possible), loss, uniform).float()


def _wide(part: np.ndarray, parts: list[np.ndarray]) -> np.ndarray:
    """Padded to the widest block."""
    most = max(own.shape[1] for own in parts)
    return np.pad(part, ((0, 0), (0, most - part.shape[1])), constant_values=PADDING)
