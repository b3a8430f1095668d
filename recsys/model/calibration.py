"""From logits to the probability that an item is the next one, and that any of a list is. Knows no model.

Both are calibrated on users that trained nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import expit, logit
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

_CERTAIN = 1e-6


@dataclass(frozen=True, slots=True)
class Calibration:
    """A monotone map on softmax probabilities, linear between knots, and a line on the log-odds of whole lists.

    Attributes:
        predicted: (knots,) increasing softmax probabilities.
        observed: (knots,) non-decreasing frequencies at which such items were the next one.
        list_slope: what the log-odds of a list are multiplied with; positive.
        list_intercept: what is added to them.
    """

    predicted: tuple[float, ...]
    observed: tuple[float, ...]
    list_slope: float = 1.0
    list_intercept: float = 0.0

    def probabilities(self, softmax: np.ndarray) -> np.ndarray:
        """Calibrated probabilities, of the shape of `softmax`."""
        mapped: np.ndarray = np.interp(softmax, self.predicted, self.observed)
        return mapped

    def list_probabilities(self, items: np.ndarray, *, baskets: bool) -> np.ndarray:
        """(lists,) calibrated probability that any item of a list is the next one, or is in the next basket.

        Args:
            items: (lists, length) calibrated probabilities of the items; 0 past a list's end.
            baskets: whether more than one of them may come true.
        """
        odds = self.list_slope * _log_odds(items, baskets=baskets) + self.list_intercept
        calibrated: np.ndarray = np.where(items.any(1), expit(odds), 0.0)
        return calibrated

    def to_dict(self) -> dict[str, object]:
        """Plain values, for the snapshot."""
        return {
            "predicted": list(self.predicted),
            "observed": list(self.observed),
            "list_slope": self.list_slope,
            "list_intercept": self.list_intercept,
        }

    @classmethod
    def from_dict(cls, raw: Mapping[str, object]) -> Calibration:
        """The inverse of `to_dict`."""
        predicted, observed = raw["predicted"], raw["observed"]
        assert isinstance(predicted, list)
        assert isinstance(observed, list)
        return cls(tuple(predicted), tuple(observed), float(str(raw["list_slope"])), float(str(raw["list_intercept"])))


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


def fit_list_calibration(
    calibration: Calibration, softmax: np.ndarray, hits: np.ndarray, *, baskets: bool
) -> Calibration:
    """Adds the line on the log-odds of lists: two numbers, since lists are ten times fewer than items.

    Args:
        calibration: of the items.
        softmax: (lists, length) model probabilities of recommended items.
        hits: (lists, length) 1 where the item was the next one.
        baskets: whether more than one of a list may come true.

    Source: Platt, Probabilistic outputs for support vector machines (1999).
    """
    came = np.asarray(np.asarray(hits).any(1))
    if len(came) == 0 or came.all() or not came.any():
        return calibration
    odds = _log_odds(calibration.probabilities(softmax), baskets=baskets)
    fitted = LogisticRegression(C=1e6).fit(odds[:, None], came)
    slope = float(fitted.coef_[0, 0])
    return (
        replace(calibration, list_slope=slope, list_intercept=float(fitted.intercept_[0])) if slope > 0 else calibration
    )


def _log_odds(items: np.ndarray, *, baskets: bool) -> np.ndarray:
    """Of one next item at most one of a list comes true; of a basket each is missed on its own account."""
    any_of_them = 1 - (1 - items).prod(1) if baskets else items.sum(1)
    odds: np.ndarray = logit(np.clip(any_of_them, _CERTAIN, 1 - _CERTAIN))
    return odds
