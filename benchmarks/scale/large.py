"""A large catalogue for very many users: drawn, put into a snapshot, and recommended from by a batch's own actors."""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.load.drawn import drawn_recommender
from benchmarks.scale.drawn_users import DrawnUsers
from benchmarks.scale.usage import Usage
from recsys import columns
from recsys.allocator import keep_large_blocks
from recsys.batch.job import run_plan
from recsys.batch.plan import BatchPlan, Partition
from recsys.batch.scoring import score_users
from recsys.batch.sink import PartitionSink, Written
from recsys.batch.user_list import UserList
from recsys.batch.worker import room_for_blocks
from recsys.ranking.large import LargeCatalogue
from recsys.ranking.retrieval import RetrievalConfig
from recsys.registry.feature_lock import features_section
from recsys.registry.loading import MODEL_SECTION, TRAINING_SECTION, load_recommender
from recsys.registry.snapshot import load_snapshot, write_snapshot
from recsys.training.dataset import Dataset
from recsys.workspace import Workspace

SEED = 11
SEARCHED, EXACT = "searched", "every item scored"
WAYS: Mapping[str, RetrievalConfig] = {SEARCHED: RetrievalConfig(), EXACT: RetrievalConfig(exact_items=sys.maxsize)}
"""As a service does where there are so many items, and as it does where there are fewer."""
EXACT_SHARE = 10
"""One in so many users gets exact lists, which take long: enough to compare with, and for a rate."""
SAMPLE = 1_000
"""Users whose lists of both ways are compared."""
_ROOT = Path(__file__).resolve().parents[2]
_BLOCK = 10_000


class DrawnMaker:
    """What the actors make partitions with: as `RecommendationMaker`, but for contexts that are drawn.

    Args:
        plan: the run.
    """

    def __init__(self, plan: BatchPlan) -> None:
        import torch

        torch.set_num_threads(1)
        keep_large_blocks()
        self._plan = plan
        snapshot = load_snapshot(plan.snapshot, snapshot_hash=plan.snapshot_hash)
        self._recommender = load_recommender(snapshot, plan.model_version).for_many(room_for_blocks())
        self._users = DrawnUsers.opened(plan.home, self._recommender.vocabulary)
        self._sink = PartitionSink(plan.out, plan.form)

    def make(self, partition: Partition) -> Written:
        """Recommends for the partition's users and writes their file."""
        plan = self._plan
        scored = score_users(
            partition.user_ids, self._users, self._recommender, k=plan.k, as_of=plan.as_of, latest=plan.latest
        )
        return self._sink.write(partition, scored.frame, scored.unknown_users, scored.future_users)


def measured_large(
    champion: Path, workspace: Workspace, n_items: int, users: int, k: int, work: Path | None
) -> dict[str, Any]:
    """Seconds, users a second and the most memory of batches over a drawn catalogue, in both ways.

    Args:
        champion: snapshot of the model whose catalogue is drawn from.
        workspace: whose histories users begin with.
        n_items: size of the catalogue.
        users: how many.
        k: items a user.
        work: a folder with room; None: the system's own.
    """
    os.environ["PYTHONPATH"] = str(_ROOT)  # the actors find this module by it
    with tempfile.TemporaryDirectory(dir=work, prefix="recsys-large-") as name:
        folder = Path(name)
        started = time.perf_counter()
        drawing = multiprocessing.get_context("spawn").Process(target=draw, args=(champion, workspace, n_items, folder))
        drawing.start()  # by itself, so that what drawing takes is not counted
        drawing.join()
        if drawing.exitcode:
            raise SystemExit(f"drawing the catalogue ended with code {drawing.exitcode}")
        drawn_in = round(time.perf_counter() - started, 1)
        ways = {SEARCHED: _run(folder, SEARCHED, users, k), EXACT: _run(folder, EXACT, -(-users // EXACT_SHARE), k)}
        found = share_found(*(_lists(folder, way) for way in (SEARCHED, EXACT)), SAMPLE)
    return {
        "items": n_items,
        "k": k,
        "contexts": "drawn in the actors: no log and no store is read",
        "seconds_to_draw": drawn_in,
        "share_of_every_items_list_that_the_search_finds": found,
        **ways,
    }


def share_found(searched: Path, exact: Path, users: int) -> dict[str, float]:
    """What part of exact lists others have, over users at even distances.

    Args:
        searched: folder of a batch's parquet.
        exact: folder of another's, for the same users.
        users: how many are compared, at most.

    Returns:
        The mean over users, the lowest of them, and how many they are.
    """
    lists = pl.scan_parquet(exact / "*.parquet").select(columns.USER_ID, columns.ITEM_ID)
    everybody = lists.select(pl.col(columns.USER_ID).unique().sort()).collect()
    some = everybody.gather_every(max(-(-everybody.height // users), 1)).lazy()
    others = pl.scan_parquet(searched / "*.parquet").select(columns.USER_ID, columns.ITEM_ID)
    both = others.with_columns(pl.lit(1.0).alias("found"))
    shares = (
        lists.join(some, on=columns.USER_ID, how="semi")
        .join(both, on=[columns.USER_ID, columns.ITEM_ID], how="left")
        .group_by(columns.USER_ID)
        .agg(pl.col("found").fill_null(0.0).mean())
        .collect()["found"]
    )
    return {"mean": round(float(shares.mean()), 4), "lowest": round(float(shares.min()), 4), "users": len(shares)}


def _lists(folder: Path, way: str) -> Path:
    return folder / f"lists, {way}"


def draw(champion: Path, workspace: Workspace, n_items: int, folder: Path) -> None:
    """Writes snapshots of a drawn catalogue, one for each way, and beside them what users are drawn from."""
    snapshot = load_snapshot(champion)
    own = load_recommender(snapshot, "benchmark")
    grown, catalogue = drawn_recommender(own, n_items, SEED, met=n_items)
    tensors = grown.model.tensors()
    for way, retrieval in WAYS.items():
        large = LargeCatalogue.of(grown.model, retrieval)
        write_snapshot(
            folder / way,
            tensors=tensors | ({} if large is None else large.tensors()),
            config={
                MODEL_SECTION: grown.model.config.model_dump(mode="json"),
                TRAINING_SECTION: {"history_length": grown.encoder.history_length, "retrieval": retrieval.model_dump()},
                "features": features_section(grown.schema),
            },
            vocabulary=grown.vocabulary,
            schema=grown.schema,
            profile=grown.encoder.profile.to_dict(),
            calibration=grown.calibration.to_dict(),
            metrics={},
            card="# Drawn, for a benchmark\n",
            lineage={},
        )
    sequences = Dataset.load(workspace, vocabulary=own.vocabulary).sequences
    DrawnUsers.save(folder, sequences.take((sequences.lengths > 0).nonzero()[0]), catalogue.kin)


def _run(folder: Path, way: str, users: int, k: int) -> dict[str, Any]:
    snapshot = load_snapshot(folder / way)
    plan = BatchPlan(
        workspace="drawn",
        home=folder,
        snapshot=snapshot.folder,
        snapshot_hash=snapshot.snapshot_hash,
        content_hash=snapshot.content_hash,
        model_version="benchmark",
        as_of=0,
        events_before=0,
        log_position=0,
        k=k,
        out=_lists(folder, way),
    )
    del snapshot
    partitions = plan.partitions(UserList.of(_numbered(users)))
    started = time.perf_counter()
    with Usage() as usage:
        run = run_plan(plan, partitions, {}, maker=DrawnMaker)
    seconds = time.perf_counter() - started
    return {
        "users": users,
        "seconds": round(seconds, 1),
        "users_a_second": round(users / seconds, 1),
        "items_recommended": sum(written.rows for written in run.written),
        "processor_seconds": round(usage.processor_seconds, 1),
        "peak_gigabytes": round(usage.bytes / 1e9, 2),
        "gigabytes_at_most": round(usage.bytes_at_most / 1e9, 2),
        "processes_at_peak": usage.processes,
    }


def _numbered(users: int) -> Iterable[list[str]]:
    return ([str(n) for n in range(start, min(start + _BLOCK, users))] for start in range(0, users, _BLOCK))
