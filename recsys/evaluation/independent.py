"""Whether two groups of different users differ: ratios of sums over users, with users as the sample.

It knows arrays only. A figure is sum of numerators / sum of denominators over a group's users, so clicks per impression
and means over users are the same thing; a user's own impressions are never taken for independent observations.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

_RESAMPLES = 10_000
_BLOCK_NUMBERS = 4_000_000  # how many counts are held at once


@dataclass(frozen=True, slots=True)
class Sums:
    """What one group's users bring to a figure.

    Attributes:
        numerators: (users,) float64.
        denominators: (users,) float64, above 0.
    """

    numerators: np.ndarray
    denominators: np.ndarray

    @property
    def figure(self) -> float:
        return float(self.numerators.sum() / self.denominators.sum())

    @property
    def variance(self) -> float:
        """Of the figure times the number of users, linearised; what one user more takes from the uncertainty."""
        away = (self.numerators - self.figure * self.denominators) / self.denominators.mean()
        return float((away**2).mean())


@dataclass(frozen=True, slots=True)
class IndependentComparison:
    """B against A, on different users.

    Attributes:
        figure_a: A's figure.
        figure_b: B's.
        difference: figure_b - figure_a.
        low: lower end of the interval of the difference.
        high: its upper end.
        p_value: two-sided, of no difference; never 0 (at least 2 / (resamples + 1)).
    """

    figure_a: float
    figure_b: float
    difference: float
    low: float
    high: float
    p_value: float


def compare_independent(
    a: Sums, b: Sums, *, resamples: int = _RESAMPLES, confidence: float = 0.95, seed: int = 0
) -> IndependentComparison:
    """Compares two groups by the percentile bootstrap over the users of each.

    Args:
        a: one group.
        b: the other one; no user is in both.
        resamples: how many bootstrap samples.
        confidence: of the interval.
        seed: of the resampling.

    Raises:
        ValueError: a group has fewer than two users, or a value is not finite.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapters 8 and 13.
    """
    for one in (a, b):
        if len(one.numerators) < 2:
            raise ValueError("A comparison needs at least two users in each group.")
        if not (np.isfinite(one.numerators).all() and np.isfinite(one.denominators).all()):
            raise ValueError("The values to compare hold NaN or infinity; a comparison would hide it.")
    rng = np.random.default_rng(seed)
    resampled = _resampled(b, resamples, rng) - _resampled(a, resamples, rng)
    tail = min(np.count_nonzero(resampled <= 0), np.count_nonzero(resampled >= 0))
    low, high = np.quantile(resampled, [(1 - confidence) / 2, (1 + confidence) / 2])
    return IndependentComparison(
        figure_a=a.figure,
        figure_b=b.figure,
        difference=b.figure - a.figure,
        low=float(low),
        high=float(high),
        p_value=float(min(1.0, 2 * (tail + 1) / (resamples + 1))),
    )


def users_needed(
    a: Sums, b: Sums, difference: float, *, share: float, level: float = 0.05, power: float = 0.8
) -> int | None:
    """How many users both groups need together to see a true difference of that size.

    Args:
        a: one group as it was seen so far.
        b: the other one.
        difference: the smallest difference that matters, above 0.
        share: of the users who go to b.
        level: of the two-sided test.
        power: probability of seeing it.

    Returns:
        None where nothing is known of how users vary: no outcome so far, or a difference of 0.
    """
    variance = a.variance / (1 - share) + b.variance / share
    if difference <= 0 or variance == 0:
        return None
    reach = stats.norm.ppf(1 - level / 2) + stats.norm.ppf(power)
    return int(np.ceil(variance * (reach / difference) ** 2))


def imbalance(counts: tuple[int, int], share: float) -> float:
    """The p value of so many users in the two groups where `share` of them should be in the second.

    Exact: χ² calls chance a fault where few users are expected in a group.

    Source: Fabijan et al., Diagnosing Sample Ratio Mismatch in Online Controlled Experiments, KDD 2019.
    """
    return float(stats.binomtest(counts[1], sum(counts), share).pvalue) if sum(counts) else 1.0


def _resampled(sums: Sums, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """(resamples,) figures of as many users drawn with replacement.

    Users alike are drawn together: how often each kind comes up is multinomial, which is the same bootstrap with
    hundreds of numbers a sample instead of all users.
    """
    pairs = np.stack([sums.numerators, sums.denominators], axis=1)
    kinds, counts = np.unique(pairs, axis=0, return_counts=True)
    users, figures = len(pairs), np.empty(resamples)
    block = max(1, _BLOCK_NUMBERS // len(kinds))
    for start in range(0, resamples, block):
        drawn = rng.multinomial(users, counts / users, size=min(block, resamples - start)) @ kinds
        figures[start : start + block] = drawn[:, 0] / drawn[:, 1]
    return figures
