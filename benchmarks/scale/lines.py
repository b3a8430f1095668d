"""What ours is asked: from heads, from encoded contexts, or from feature rows, to everybody's best items."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from benchmarks.scale.variants import narrow, sparse
from benchmarks.scale.workers import Line
from recsys.batch.worker import room_for_blocks
from recsys.context.batch import ContextBatch, FeatureRow
from recsys.context.folding import RowFolder
from recsys.context.rows import feature_rows
from recsys.model.personal import Generated
from recsys.ranking.frames import SCORED_AT_ONCE, recommended
from recsys.ranking.recommender import Recommender
from recsys.ranking.top_k import top_k
from recsys.registry.loading import load_recommender
from recsys.registry.snapshot import load_snapshot
from recsys.workspace import Workspace

DENSE, SPARSE, NARROW = "dense memories", "sparse memories", "dense memories, body in bfloat16"
HEADS_GIVEN, FROM_CONTEXTS, FROM_ROWS = "heads given", "from contexts", "from feature rows"


@dataclass(frozen=True, slots=True)
class Share:
    """What a process needs to recommend to its share of the users. Called, it builds the lines.

    Attributes:
        snapshot: folder of the model.
        home: folder of the workspace.
        workspace: its name.
        user_ids: everybody, in one order for all shares.
        k: items a user.
        top: weights a row of sparse memories.
        starts: where the lines begin.
    """

    snapshot: Path
    home: Path
    workspace: str
    user_ids: tuple[str, ...]
    k: int
    top: int
    starts: tuple[str, ...]

    def __call__(self, share: int, count: int) -> dict[str, Line]:
        """The lines of one of `count` shares, by `line_name`."""
        recommender = load_recommender(load_snapshot(self.snapshot), "benchmark")
        whole = recommender.for_many(room_for_blocks())
        thinned = sparse(recommender, self.top)
        ways = {DENSE: whole, SPARSE: thinned, NARROW: narrow(whole)}
        rows = rows_of(Workspace(self.workspace, self.home), recommender, self.user_ids[share::count])
        blocks = [rows[start : start + SCORED_AT_ONCE] for start in range(0, len(rows), SCORED_AT_ONCE)]
        contexts = [recommender.encoder.encode(block) for block in blocks]
        lines: dict[str, Line] = {}
        for name, own in ways.items():
            if HEADS_GIVEN in self.starts and name != NARROW:
                given = [own.model.forward(context).generated for context in contexts]
                lines[line_name(HEADS_GIVEN, name)] = partial(from_heads, own, contexts, given, self.k)
            if FROM_CONTEXTS in self.starts:
                lines[line_name(FROM_CONTEXTS, name)] = partial(from_contexts, own, contexts, self.k)
            if FROM_ROWS in self.starts:
                lines[line_name(FROM_ROWS, name)] = partial(from_rows, own, rows, self.k)
        return lines


def line_name(start: str, way: str) -> str:
    """How a line is called in results."""
    return f"{start}, {way}"


def rows_of(workspace: Workspace, recommender: Recommender, user_ids: Sequence[str]) -> list[FeatureRow]:
    """Everybody's feature row as of now, folded from the log, in the order asked."""
    stored = RowFolder.of(workspace, recommender.schema).now(user_ids).to_dict(as_series=False)
    found = {row.user_id: row for row in feature_rows(stored, recommender.schema)}
    return [found[user_id] for user_id in user_ids]


@torch.inference_mode()
def from_heads(recommender: Recommender, contexts: Sequence[ContextBatch], given: Sequence[Generated], k: int) -> int:
    """Experts, filter and top k for states and heads that are there."""
    model, listed = recommender.model, 0
    for context, generated in zip(contexts, given, strict=True):
        scores = model.again(generated, model.network.others_say(context))
        listed += _listed(recommender, context, scores, k)
    return listed


@torch.inference_mode()
def from_contexts(recommender: Recommender, contexts: Sequence[ContextBatch], k: int) -> int:
    """Body, heads, experts, filter and top k for encoded contexts."""
    return sum(_listed(recommender, context, recommender.model.forward(context).scores, k) for context in contexts)


def from_rows(recommender: Recommender, rows: Sequence[FeatureRow], k: int) -> int:
    """The whole way to a frame of recommendations, as a partition of a batch goes it."""
    return recommended(recommender, rows, k).height


def _listed(recommender: Recommender, context: ContextBatch, scores: torch.Tensor, k: int) -> int:
    values, _ = top_k(scores.masked_fill(recommender.mask(context), -torch.inf), k)
    return int(torch.isfinite(values).sum())
