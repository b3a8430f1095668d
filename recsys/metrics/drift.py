"""How far one sample's distribution lies from another's.

Plain functions on arrays; missing values have a bin of their own. A population stability index below .1 is usually
read as stable, from .25 on as another population.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt
from scipy.stats import ks_2samp

FloatArray = npt.NDArray[np.float64]
BINS = 10


def numeric_stability(reference: FloatArray, current: FloatArray) -> float:
    """Population stability index over the tenths of the reference.

    Args:
        reference: (n,) values, NaN where missing.
        current: (m,) likewise.
    """
    known = reference[~np.isnan(reference)]
    edges = np.unique(np.quantile(known, np.linspace(0, 1, BINS + 1)[1:-1])) if len(known) else np.empty(0)
    return _stability(_binned(reference, edges), _binned(current, edges), len(edges) + 3)


def categorical_stability(reference: Sequence[Hashable], current: Sequence[Hashable]) -> float:
    """Population stability index over categories; None is missing, and a category like any other."""
    index = {value: n for n, value in enumerate(dict.fromkeys((*reference, *current)))}
    codes = [np.array([index[value] for value in values], dtype=np.int64) for values in (reference, current)]
    return _stability(codes[0], codes[1], len(index))


def kolmogorov_smirnov(reference: FloatArray, current: FloatArray) -> tuple[float, float]:
    """Largest distance between two cumulative distributions, and its p-value, of the values that are there.

    0 and 1 where one of the two has none.
    """
    first, second = reference[~np.isnan(reference)], current[~np.isnan(current)]
    if not len(first) or not len(second):
        return 0.0, 1.0
    few = min(len(first), len(second)) < 30
    found = ks_2samp(first, second, method="exact" if few else "asymp")
    return float(found.statistic), float(found.pvalue)


def _binned(values: FloatArray, edges: FloatArray) -> npt.NDArray[np.int64]:
    """Two bins an edge, for what lies on it and what lies between, so that repeated values are told apart."""
    missing = np.isnan(values)
    bins = np.searchsorted(edges, values, side="left") + np.searchsorted(edges, values, side="right")
    return np.where(missing, 2 * len(edges) + 1, bins)


def _stability(reference: npt.NDArray[np.int64], current: npt.NDArray[np.int64], bins: int) -> float:
    """Half an event is added to every bin that either sample has, so that an empty one gives no infinity."""
    counts = np.stack([np.bincount(codes, minlength=2 * bins) for codes in (reference, current)]).astype(np.float64)
    counts = counts[:, counts.any(axis=0)] + 0.5
    shares = counts / counts.sum(axis=1, keepdims=True)
    return float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())
