"""Which items may not be recommended, as boolean tensors."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from recsys.context.batch import ContextBatch


def seen_mask(context: ContextBatch, n_items: int) -> Tensor:
    """(batch, n_items) bool: True at each context's seen items."""
    mask = torch.zeros(len(context), n_items, dtype=torch.bool)
    if len(context) == 1:
        mask[0, context.seen - 1] = True
        return mask
    rows = torch.repeat_interleave(torch.arange(len(context)), context.seen_offsets.diff())
    mask[rows, context.seen - 1] = True
    return mask


def item_mask(indices: np.ndarray, n_items: int) -> Tensor:
    """(n_items,) bool: True at these item indices; index 0 (unknown) is ignored."""
    mask = torch.zeros(n_items, dtype=torch.bool)
    mask[torch.from_numpy(indices[indices > 0] - 1)] = True
    return mask
