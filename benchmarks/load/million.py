"""A large catalogue, one request after the other in this process: retrieval and exact head beside an int8 scan.

The exact float scores of every item are the truth; each way is given the same contexts, heads and rules.
"""

from __future__ import annotations

import gc
import os
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.load.drawn import drawn_recommender
from benchmarks.load.measuring import percentiles
from benchmarks.registry.flipping import resident_mb
from recsys.context.batch import FeatureRow
from recsys.garbage import keep_what_is_there
from recsys.ranking.large import LargeCatalogue
from recsys.ranking.recommender import Ranking, Recommender
from recsys.ranking.retrieval import RetrievalConfig, item_vectors

ITEMS = 1_000_000
K = 100
WARM_UP = 20
SEED = 11


class Int8Scan:
    """Exact products of int8 vectors with an int8 query, by torch's own kernel; searched as an `ItemIndex` is.

    Args:
        vectors: (n_items, width) float32.
    """

    def __init__(self, vectors: Tensor) -> None:
        scales = (vectors.abs().amax(1) / 127).clamp(min=1e-12).double()
        zeros = torch.zeros(len(vectors), dtype=torch.int64)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            quantised = torch.quantize_per_channel(vectors, scales, zeros, 0, torch.qint8)
            self._packed = torch.ops.quantized.linear_prepack(quantised, None)

    def search(self, query: Tensor, number: int) -> Tensor:
        """(number,) int64 columns, the best first."""
        products = torch.ops.quantized.linear_dynamic(query[None], self._packed)[0]
        return products.topk(number).indices


def measure_million(champion: Recommender, rows: Sequence[FeatureRow], n_items: int = ITEMS) -> dict[str, Any]:
    """p50, p99 and recall@100 of each way.

    Args:
        champion: whose items and heads the catalogue is drawn from.
        rows: real contexts; the first few are also the warm-up.
        n_items: how large the catalogue is.
    """
    torch.set_num_threads(1)
    config = RetrievalConfig(exact_items=0)
    started = time.perf_counter()
    recommender, catalogue = drawn_recommender(champion, n_items, SEED)
    drawn_in = time.perf_counter() - started
    truth, exact = _timed(recommender, rows, WARM_UP // 4)
    started = time.perf_counter()
    large = LargeCatalogue.of(recommender.model, config)
    built_in = time.perf_counter() - started
    if large is None:
        raise SystemExit("heads read the opinions of every item in so small a catalogue: ask for more --items")
    recommender = Recommender(
        recommender.model, recommender.encoder, recommender.schema, recommender.calibration, "drawn", large=large
    )
    found, searched = _timed(recommender, rows)
    parts = _parts(recommender, large, rows)
    index_mb = sum(own.nbytes for own in large.tensors().values()) / 2**20
    gc.collect()
    resident = resident_mb(os.getpid())
    large.retrieval.index = Int8Scan(item_vectors(recommender.model.network))  # type: ignore[assignment]
    scanned, scan = _timed(recommender, rows)
    return {
        "items": n_items,
        "contexts": len(rows),
        "mixture": {"components": catalogue.components, "held_out_log_likelihood": catalogue.held_out},
        "retrieval_then_exact_head": {**searched, "recall": _recall(found, truth), "parts": parts},
        "int8_scan_then_exact_head": {**scan, "recall": _recall(scanned, truth)},
        "every_item_exact": exact,
        "settings": config.model_dump(),
        "seconds_to_draw": round(drawn_in, 1),
        "seconds_to_build": round(built_in, 1),
        "index_mb": round(index_mb),
        "vectors_mb": round(recommender.model.network.body.items.nbytes / 2**20),
        "resident_mb": round(resident),
    }


def _timed(
    recommender: Recommender, rows: Sequence[FeatureRow], warm_up: int = WARM_UP
) -> tuple[list[Ranking], dict[str, Any]]:
    """What is recommended, and milliseconds: by the clock, and of the processor alone."""
    for row in rows[:warm_up]:
        recommender.recommend([row], k=K)
    keep_what_is_there()  # as the service does: a full collection walks through a million ids otherwise
    rankings, seconds, of_processor = [], [], []
    for row in rows:
        started, used = time.perf_counter(), time.thread_time()
        rankings += recommender.recommend([row], k=K)
        of_processor.append(time.thread_time() - used)
        seconds.append(time.perf_counter() - started)
    return rankings, percentiles(np.array(seconds) * 1_000) | {"processor": percentiles(np.array(of_processor) * 1_000)}


def _parts(recommender: Recommender, large: LargeCatalogue, rows: Sequence[FeatureRow]) -> dict[str, Any]:
    """Median milliseconds of each step, and how many candidates there were."""
    seconds: dict[str, list[float]] = {"encode": [], "hear": [], "head": [], "candidates": [], "exact_head": []}
    numbers = []

    def step(name: str, work: Callable[[], Any]) -> Any:
        started = time.perf_counter()
        done = work()
        seconds[name].append(time.perf_counter() - started)
        return done

    for row in rows:
        context = step("encode", lambda row=row: recommender.encoder.encode([row]))
        heard = step("hear", lambda context=context: large.partial.hear(context))
        generated = step("head", lambda heard=heard: large.partial.generate(heard))
        number = large.retrieval.config.candidates + len(context.seen)
        columns = step("candidates", lambda h=heard, g=generated, n=number: large.retrieval.candidates(h, g, n))
        step("exact_head", lambda h=heard, g=generated, at=columns: large.partial.scores(h, g, at))
        numbers.append(len(columns))
    medians = {f"{name}_ms": round(float(np.median(own)) * 1_000, 2) for name, own in seconds.items()}
    return medians | {"candidates": int(np.median(numbers))}


def _recall(found: Sequence[Ranking], truth: Sequence[Ranking]) -> float:
    shares = [
        len(set(own.item_ids) & set(best.item_ids)) / max(len(best.item_ids), 1)
        for own, best in zip(found, truth, strict=True)
    ]
    return round(float(np.mean(shares)), 4)
