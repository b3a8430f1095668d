"""Whether stated probabilities come true. Plain functions on probabilities and outcomes; they know no model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

BINS = 15


@dataclass(frozen=True, slots=True)
class Reliability:
    """Predictions in bins of equal size, lowest first.

    Attributes:
        predicted: (bins,) mean probability stated in a bin.
        observed: (bins,) how often it came true.
        count: (bins,) int64 predictions in it.
    """

    predicted: np.ndarray
    observed: np.ndarray
    count: np.ndarray

    @property
    def error(self) -> float:
        """Expected calibration error: the mean gap between stated and observed, each prediction counting once."""
        return float(self.count @ np.abs(self.observed - self.predicted) / max(self.count.sum(), 1))


def reliability(probabilities: np.ndarray, outcomes: np.ndarray, bins: int = BINS) -> Reliability:
    """Sorts predictions and cuts them into bins that hold equally many.

    Args:
        probabilities: (n,) stated.
        outcomes: (n,) 1 or True where it came true.
        bins: how many; fewer when there are fewer predictions.

    Source: Nixon et al., "Measuring Calibration in Deep Learning", CVPR workshops 2019 (adaptive bins).
    """
    order = np.argsort(probabilities, kind="stable")
    edges = np.linspace(0, len(order), min(bins, len(order)) + 1).round().astype(np.int64)
    count = np.diff(edges)
    sums = np.add.reduceat(np.stack([probabilities[order], outcomes[order]]).astype(np.float64), edges[:-1], axis=1)
    return Reliability(sums[0] / count, sums[1] / count, count)


def expected_calibration_error(probabilities: np.ndarray, outcomes: np.ndarray, bins: int = BINS) -> float:
    """The error of `reliability`; 0 is perfect."""
    return reliability(probabilities, outcomes, bins).error


def error_of_chance(probabilities: np.ndarray, bins: int = BINS, *, draws: int = 100, seed: int = 0) -> float:
    """The calibration error that these predictions would show on average if every one of them were exactly right.

    Outcomes are drawn from the probabilities. A measured error near this figure says nothing against the predictions.

    Args:
        probabilities: (n,) stated.
        bins: as for the measured error.
        draws: how many times outcomes are drawn.
        seed: of the draws.
    """
    rng = np.random.default_rng(seed)
    ordered = np.sort(probabilities)
    drawn = (reliability(ordered, rng.random(len(ordered)) < ordered, bins).error for _ in range(draws))
    return float(np.mean(list(drawn)))


def brier_score(probabilities: np.ndarray, outcomes: np.ndarray) -> float:
    """Mean squared distance between what was stated and what came true; 0 is perfect."""
    return float(np.square(probabilities - outcomes).mean())


def brier_skill(probabilities: np.ndarray, outcomes: np.ndarray) -> float:
    """The share of the Brier score of "always the base rate" that the predictions save; 0 where nothing can be saved.

    The base rate is that of these very outcomes: the best constant there is.
    """
    constant = brier_score(np.full(len(outcomes), outcomes.mean()), outcomes)
    return 1 - brier_score(probabilities, outcomes) / constant if constant > 0 else 0.0
