"""From logits to the probability that an item is the next one, calibrated on users that trained nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from sklearn.isotonic import IsotonicRegression


@dataclass(frozen=True, slots=True)
class Calibration:
    """A monotone map on softmax probabilities, linear between knots.

    Attributes:
        predicted: (knots,) increasing softmax probabilities.
        observed: (knots,) non-decreasing frequencies at which such items were the next one.
    """

    predicted: tuple[float, ...]
    observed: tuple[float, ...]

    def probabilities(self, softmax: np.ndarray) -> np.ndarray:
        """Calibrated probabilities, of the shape of `softmax`."""
        mapped: np.ndarray = np.interp(softmax, self.predicted, self.observed)
        return mapped

    def to_dict(self) -> dict[str, list[float]]:
        """Plain values, for the snapshot."""
        return {"predicted": list(self.predicted), "observed": list(self.observed)}

    @classmethod
    def from_dict(cls, raw: Mapping[str, object]) -> Calibration:
        """The inverse of `to_dict`."""
        predicted, observed = raw["predicted"], raw["observed"]
        assert isinstance(predicted, list)
        assert isinstance(observed, list)
        return cls(tuple(predicted), tuple(observed))


def fit_calibration(softmax: np.ndarray, hits: np.ndarray) -> Calibration:
    """Isotonic regression of hits on softmax probabilities.

    Args:
        softmax: (pairs,) model probabilities of recommended items.
        hits: (pairs,) 1 where the item was the next one.

    Returns:
        The map; without a pair it is the identity.
    """
    if len(softmax) == 0:
        return Calibration((0.0, 1.0), (0.0, 1.0))
    fitted = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(softmax, hits)
    return Calibration(tuple(float(x) for x in fitted.X_thresholds_), tuple(float(y) for y in fitted.y_thresholds_))
