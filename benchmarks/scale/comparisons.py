"""Which peer is held against what of ours, and how one comparison is measured."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.scale.asking import BUILD, PEERS, NotReachedError, PeerProcess
from benchmarks.scale.beside import measured_beside
from benchmarks.scale.conditions import Conditions
from benchmarks.scale.handing import first_users, hand_over
from benchmarks.scale.lines import (
    DENSE,
    FROM_CONTEXTS,
    FROM_ROWS,
    HEADS_GIVEN,
    NARROW,
    SPARSE,
    Share,
    line_name,
)
from benchmarks.scale.workers import Workers
from recsys.ranking.recommender import Recommender
from recsys.training.dataset import Dataset
from recsys.training.loop import multiplies_bfloat16
from recsys.workspace import Workspace

FACTORS = 128


@dataclass(frozen=True, slots=True)
class Bar:
    """How fast one line of ours has to be, fixed before anything is measured.

    Attributes:
        times: the peer's speed, at least so many times.
        start: where the line begins.
        ways: forms of our model, those that the processor is made for; the first that loses little enough NDCG counts,
            whatever its speed. Where none is known to, the last one stands for it, and does not meet the bar.
    """

    times: float
    start: str
    ways: tuple[str, ...]

    def judged(self, found: Mapping[str, Any], conditions: Conditions) -> dict[str, Any]:
        """The line, its ratio and whether the bar is met; None: there is no ratio, or nobody measured what is lost.

        Args:
            found: what `measured_beside` gave.
            conditions: what forms lose.
        """
        way = next((way for way in made_for(self.ways) if conditions.met(way)), self.ways[-1])
        name = line_name(self.start, way)
        ratio, condition = found.get("ratios", {}).get(name), conditions.met(way)
        met = None if ratio is None or condition is None else condition and ratio["median"] >= self.times
        said = {"bar": self.times, "line": name, "ratio": None if ratio is None else ratio["median"], "met": met}
        return {**said, **conditions.said(way)}


@dataclass(frozen=True, slots=True)
class Comparison:
    """A peer, and what of ours it is held against.

    Attributes:
        environment: the peer's, a folder of build/peers.
        program: the peer's, a file of benchmarks/peers.
        starts: where our lines begin.
        ways: which forms of our model.
        bar: what the result is held to.
        sample: on how many users the peer looks for its fastest way; starting processes has to pay there. None: on
            everybody, where a way is told from another by how many users it takes at once.
    """

    environment: str
    program: str
    starts: tuple[str, ...]
    ways: tuple[str, ...]
    bar: Bar
    sample: int | None = 1_024

    @property
    def lines(self) -> list[str]:
        """Names of our lines."""
        return [line_name(start, way) for start in self.starts for way in made_for(self.ways)]


def made_for(ways: Sequence[str]) -> tuple[str, ...]:
    """Those of some forms that this processor is made for."""
    return tuple(way for way in ways if way != NARROW or multiplies_bfloat16())


COMPARISONS: Mapping[str, Comparison] = {
    "implicit": Comparison(
        "lenskit", "als.py", (HEADS_GIVEN,), (SPARSE, DENSE), Bar(0.3, HEADS_GIVEN, (SPARSE,)), sample=None
    ),
    "RecBole": Comparison(
        "venv",
        "recbole_scores.py",
        (FROM_CONTEXTS, FROM_ROWS),
        (SPARSE, DENSE, NARROW),
        Bar(2.0, FROM_CONTEXTS, (NARROW, DENSE)),
    ),
    "LensKit": Comparison(
        "lenskit",
        "lenskit_batch.py",
        (FROM_ROWS,),
        (SPARSE, DENSE, NARROW),
        Bar(5.0, FROM_ROWS, (NARROW, DENSE)),
        sample=3_000,
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What holds for both sides.

    Attributes:
        threads: cores, for ours and for the peer.
        k: items a user.
        users: only so many; None: everybody.
        rounds: turns that count.
        conditions: what forms of our model lose, and how many weights a row sparse memories keep.
        cap: seconds a peer is waited for.
    """

    threads: int
    k: int
    users: int | None
    rounds: int
    conditions: Conditions
    cap: float


def compared(
    comparison: Comparison, workspace: Workspace, snapshot: Path, recommender: Recommender, terms: Terms
) -> dict[str, Any]:
    """Both sides' speed, in turns, on the same users.

    Args:
        comparison: with whom.
        workspace: whose users.
        snapshot: folder of our model.
        recommender: the same model, loaded.
        terms: what holds for both.
    """
    dataset = Dataset.load(workspace, vocabulary=recommender.vocabulary)
    sequences = first_users(dataset.sequences, terms.users)
    conditions, named = terms.conditions, (workspace.home, workspace.name)
    share = Share(snapshot, *named, sequences.user_ids, terms.k, conditions.top, comparison.starts)
    with tempfile.TemporaryDirectory(prefix="recsys-peer-") as name:
        told = _told(recommender, terms) | {"sample": min(comparison.sample or len(sequences), len(sequences))}
        folder = hand_over(Path(name) / "handed", sequences, told)
        python = BUILD / comparison.environment / "bin" / "python"
        with PeerProcess(python, PEERS / comparison.program, folder, terms.threads, terms.cap) as peer:
            about, there = _ready(peer)
            asked, users = peer if there else None, len(sequences)
            with Workers(share, terms.threads) as ours:
                measured = measured_beside(asked, ours, comparison.lines, users, terms.rounds)
    for start in comparison.starts:
        for way in made_for(comparison.ways):
            measured.get("ratios", {}).get(line_name(start, way), {}).update(conditions.said(way))
    return {
        "threads": terms.threads,
        "k": terms.k,
        "content_hash": conditions.content_hash,
        "weights_a_row": conditions.top,
        "peer_is": about,
        **measured,
        "judged": comparison.bar.judged(measured, conditions),
    }


def _told(recommender: Recommender, terms: Terms) -> dict[str, object]:
    """What peers have to know: sizes equal to ours where they have them."""
    body = recommender.model.config.body
    return {
        "threads": terms.threads,
        "k": terms.k,
        "n_items": len(recommender.vocabulary),
        "length": body.length,
        "hidden_size": body.width,
        "n_layers": body.layers,
        "n_heads": body.heads,
        "factors": FACTORS,
        "seed": 0,
    }


def _ready(peer: PeerProcess) -> tuple[dict[str, Any], bool]:
    try:
        return peer.about(), True
    except NotReachedError as error:
        peer.stop()
        return {"not_ready": str(error)}, False
