"""Whether one scorer beats another: paired over users, seeds averaged first, with Holm over a family of claims.

It knows arrays only. Users are the sample; a user's values under several seeds are no independent observations, so
they are averaged before anything is resampled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import stats

_RESAMPLES = 10_000
_BLOCK_NUMBERS = 4_000_000  # how many resampled values are held at once


@dataclass(frozen=True, slots=True)
class PairedComparison:
    """A against B on the same users.

    Attributes:
        mean_a: mean of A over users and seeds.
        mean_b: the same of B.
        difference: mean_a - mean_b.
        low: lower end of the interval of the difference.
        high: its upper end.
        p_value: two-sided, of no difference; never 0 (at least 2 / (resamples + 1)).
        users: how many users were compared.
        seeds: how many seeds were averaged for each user.
        by_seed: mean difference of each seed alone, to see how much of it hangs on one.
    """

    mean_a: float
    mean_b: float
    difference: float
    low: float
    high: float
    p_value: float
    users: int
    seeds: int
    by_seed: tuple[float, ...]

    @property
    def excludes_zero(self) -> bool:
        return self.low > 0 or self.high < 0


def user_differences(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(seeds, users) float64: A minus B, user by user and seed by seed.

    Args:
        a: (seeds, users) values of A; users in the same order as in `b`.
        b: (seeds, users) values of B; one of the two may have a single seed (a scorer that no seed changes).

    Raises:
        ValueError: the users or seeds do not pair up, there are fewer than two users, or a value is not finite.
    """
    a, b = np.atleast_2d(np.asarray(a, np.float64)), np.atleast_2d(np.asarray(b, np.float64))
    if a.shape[1] != b.shape[1] or (a.shape[0] != b.shape[0] and 1 not in (a.shape[0], b.shape[0])):
        raise ValueError(
            f"Values of shape {a.shape} and {b.shape} (seeds, users) cannot be paired: both need the same users in the "
            "same order, and the same seeds or a single one."
        )
    if a.shape[1] < 2:
        raise ValueError("A paired comparison needs at least two users.")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError("The values to compare hold NaN or infinity; a comparison would hide it.")
    differences: np.ndarray = a - b
    return differences


def compare_paired(
    a: np.ndarray, b: np.ndarray, *, resamples: int = _RESAMPLES, confidence: float = 0.95, seed: int = 0
) -> PairedComparison:
    """Compares A with B by the percentile bootstrap over users of their seed-averaged differences.

    Args:
        a: (seeds, users) values of A, for example NDCG@10 of each user.
        b: (seeds, users) values of B for the same users; one seed is paired with every seed of A, and vice versa.
        resamples: how many bootstrap samples.
        confidence: of the interval.
        seed: of the resampling.

    Raises:
        ValueError: the values do not pair up or are not finite.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapters 13 and 16.
    """
    differences = user_differences(a, b)
    per_user = differences.mean(0)
    found = stats.bootstrap(
        (per_user,),
        np.mean,
        n_resamples=resamples,
        batch=max(1, _BLOCK_NUMBERS // len(per_user)),
        confidence_level=confidence,
        method="percentile",
        rng=np.random.default_rng(seed),
    )
    resampled = found.bootstrap_distribution
    tail = min(np.count_nonzero(resampled <= 0), np.count_nonzero(resampled >= 0))
    return PairedComparison(
        mean_a=float(np.mean(a)),
        mean_b=float(np.mean(b)),
        difference=float(per_user.mean()),
        low=float(found.confidence_interval.low),
        high=float(found.confidence_interval.high),
        p_value=float(min(1.0, 2 * (tail + 1) / (resamples + 1))),
        users=len(per_user),
        seeds=len(differences),
        by_seed=tuple(float(own) for own in differences.mean(1)),
    )


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Adjusted p values of a family of claims: reject those at or below the level, and the family's error is bounded.

    Args:
        p_values: by the claim's name; all claims that were made, the failed ones too.

    Raises:
        ValueError: a p value is not within 0 and 1.

    Source: Holm, A simple sequentially rejective multiple test procedure, 1979.
    """
    if not all(0 <= p <= 1 for p in p_values.values()):
        raise ValueError("p values lie between 0 and 1.")
    adjusted: dict[str, float] = {}
    worst = 0.0
    for place, name in enumerate(sorted(p_values, key=lambda one: p_values[one])):
        worst = max(worst, min(1.0, (len(p_values) - place) * p_values[name]))
        adjusted[name] = worst
    return {name: adjusted[name] for name in p_values}
