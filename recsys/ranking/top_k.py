"""The best k columns of a score matrix, in one order that depends on nothing but the scores."""

from __future__ import annotations

from torch import Tensor


def top_k(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k largest scores of each row, largest first; equal scores in the order of their columns.

    `torch.topk` leaves the order of ties to the algorithm it picks, so that the first five of ten could differ from
    the first five of five.

    Args:
        scores: (batch, n_items) float, without NaN; -inf is allowed.
        k: at least 1, at most n_items.

    Returns:
        (batch, k) scores and (batch, k) int64 columns.
    """
    n_items = scores.shape[1]
    values, columns = scores.topk(min(k + 1, n_items), dim=1)
    level = (values[:, :-1] <= values[:, 1:]).any(1)
    values, columns = values[:, :k], columns[:, :k]
    if bool(level.any()):
        values[level], columns[level] = _with_ties(scores[level], values[level, -1:], k)
    return values, columns


def _with_ties(scores: Tensor, last: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """`top_k` of rows with equal scores among the k + 1 largest.

    Args:
        scores: (batch, n_items) float.
        last: (batch, 1) the k-th largest of each row.
        k: how many.
    """
    ahead, level = scores > last, scores == last
    chosen = ahead | (level & (level.cumsum(1) <= k - ahead.sum(1, keepdim=True)))
    columns = chosen.nonzero()[:, 1].view(len(scores), k)
    values, order = scores.gather(1, columns).sort(dim=1, descending=True, stable=True)
    return values, columns.gather(1, order)
