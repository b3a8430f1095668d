"""From logits to the probability that an item is the next one, and that any of a list is. Knows no model.

Both are lines on the log-odds: two numbers each, since few of those who calibrate are hits. On some hundred of them a
step function costs more in noise than it wins in form (docs/experiments.md). An item is the likelier in a basket the
more its owner usually takes: there the line has a third number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

import numpy as np
from scipy.special import expit, logit

_CERTAIN = 1e-12
_SURE = 1e-3
"""A list is never surer than this: its items' probabilities may sum to more than one, and a miss that was certain would
bend the whole line."""
_LIGHT_PENALTY = 1e6


@dataclass(frozen=True, slots=True)
class Line:
    """A line on log-odds, rising.

    Attributes:
        slope: what the log-odds are multiplied with; positive.
        intercept: what is added to them.
        per_size: what the logarithm of the usual basket's size is multiplied with and added.
    """

    slope: float = 1.0
    intercept: float = 0.0
    per_size: float = 0.0

    def __post_init__(self) -> None:
        if not (np.isfinite([self.slope, self.intercept, self.per_size]).all() and self.slope > 0):
            raise ValueError(
                f"a calibration line of slope {self.slope}, intercept {self.intercept} and {self.per_size} per size"
            )

    def of(self, probabilities: np.ndarray, sizes: np.ndarray | float = 1.0) -> np.ndarray:
        """Calibrated probabilities, of the same shape; what is impossible stays so. Sizes broadcast."""
        known = np.asarray(probabilities, dtype=np.float64)
        mapped = expit(self.slope * _log_odds(known) + self.intercept + self.per_size * np.log(sizes))
        calibrated: np.ndarray = np.where(known > 0, mapped, 0.0)
        return calibrated


@dataclass(frozen=True, slots=True)
class Calibration:
    """How softmax probabilities become frequencies.

    Attributes:
        item: of the probability that an item is the next one, or is in the next basket.
        any_of_list: of the probability that any item of a list is.
    """

    item: Line = field(default_factory=Line)
    any_of_list: Line = field(default_factory=Line)

    def probabilities(self, softmax: np.ndarray, sizes: np.ndarray) -> np.ndarray:
        """Calibrated probabilities of items.

        Args:
            softmax: (contexts, items) the model's.
            sizes: (contexts,) usual size of a context's baskets; 1 where there are no baskets.
        """
        return self.item.of(softmax, sizes[:, None])

    def list_probabilities(self, items: np.ndarray, *, baskets: bool) -> np.ndarray:
        """(lists,) calibrated probability that any item of a list is the next one, or is in the next basket.

        Args:
            items: (lists, length) calibrated probabilities of the items; 0 past a list's end.
            baskets: whether more than one of them may come true.
        """
        return self.any_of_list.of(_any_of(items, baskets=baskets))

    def to_dict(self) -> dict[str, object]:
        """Plain values, for the snapshot."""
        return asdict(self)

    @classmethod
    def from_dict(cls, raw: Mapping[str, object]) -> Calibration:
        """The inverse of `to_dict`.

        Raises:
            KeyError, TypeError, ValueError: it is of another form.
        """
        item, any_of_list = raw["item"], raw["any_of_list"]
        if not isinstance(item, Mapping) or not isinstance(any_of_list, Mapping):
            raise TypeError("a calibration line is a table of slope and intercept")
        return cls(Line(**item), Line(**any_of_list))


def fit_calibration(softmax: np.ndarray, hits: np.ndarray, sizes: np.ndarray, *, baskets: bool) -> Calibration:
    """Both lines, on the same lists.

    Args:
        softmax: (lists, length) model probabilities of recommended items; 0 past a list's end.
        hits: (lists, length) 1 where the item was the next one, or was in the next basket.
        sizes: (lists,) usual size of a context's baskets; 1 where there are no baskets.
        baskets: whether more than one of a list may come true.

    Source: Platt, Probabilistic outputs for support vector machines (1999).
    """
    came = np.asarray(hits, dtype=bool)
    there = np.asarray(softmax) > 0
    of_each = np.broadcast_to(np.asarray(sizes, dtype=np.float64)[:, None], there.shape)
    item = fit_line(np.asarray(softmax)[there], came[there], of_each[there] if baskets else None)
    chances = item.of(softmax, of_each)
    return Calibration(item, fit_line(_any_of(chances, baskets=baskets), np.asarray(came.any(1))))


def fit_line(probabilities: np.ndarray, came: np.ndarray, sizes: np.ndarray | None = None) -> Line:
    """Logistic regression of what came true on log-odds; no change where that says nothing or turns the order round.

    Args:
        probabilities: (n,) as they are.
        came: (n,) bool.
        sizes: (n,) usual size of the owner's baskets, whose logarithm is read beside the log-odds; None: it is not.
    """
    if len(came) == 0 or came.all() or not came.any():
        return Line()
    read = [_log_odds(probabilities), *([] if sizes is None else [np.log(sizes)])]
    from sklearn.linear_model import LogisticRegression  # a second and 30 MB, which only a fit needs

    fitted = LogisticRegression(C=_LIGHT_PENALTY).fit(np.stack(read, axis=1), came)
    slope, *per_size = fitted.coef_[0].tolist()
    return Line(slope, float(fitted.intercept_[0]), *per_size) if slope > 0 else Line()


def _any_of(items: np.ndarray, *, baskets: bool) -> np.ndarray:
    """Of one next item at most one of a list comes true; of a basket each is missed on its own account."""
    chances = np.asarray(items, dtype=np.float64)
    found: np.ndarray = 1 - (1 - chances).prod(1) if baskets else chances.sum(1)
    bounded: np.ndarray = np.minimum(found, 1 - _SURE)
    return bounded


def _log_odds(probabilities: np.ndarray) -> np.ndarray:
    odds: np.ndarray = logit(np.clip(np.asarray(probabilities, dtype=np.float64), _CERTAIN, 1 - _CERTAIN))
    return odds
