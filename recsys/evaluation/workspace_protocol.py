"""Which protocol judges a workspace: its schema decides, here and nowhere else.

With `baskets` a workspace is judged on next baskets, without by leave-one-out; with `repeats` nothing is masked.
"""

from __future__ import annotations

from typing import Literal

from recsys.context.sequences import Sequences
from recsys.data.schema import WorkspaceSchema
from recsys.evaluation import next_basket, protocol
from recsys.evaluation.next_basket import BasketSplit
from recsys.evaluation.protocol import Split, SplitName
from recsys.training.dataset import Dataset

ProtocolName = Literal["leave-one-out", "next basket"]
LEAVE_ONE_OUT: ProtocolName = "leave-one-out"
NEXT_BASKET: ProtocolName = "next basket"

IN_WORDS: dict[str, str] = {
    LEAVE_ONE_OUT: "Leave-one-out: the target is each user's last positive event (test) or the one before it "
    "(validation).",
    NEXT_BASKET: "Next basket: the target is the set of items of each user's first basket in the last month of the "
    "data (test) or of the last basket before that month (validation).",
}
"""Each protocol in a sentence."""


def protocol_of(schema: WorkspaceSchema) -> ProtocolName:
    """The protocol of a workspace with that schema."""
    return NEXT_BASKET if schema.baskets else LEAVE_ONE_OUT


def targets_of(dataset: Dataset, split: SplitName) -> Split | BasketSplit:
    """Who is evaluated on what; one item a user, or the items of a basket.

    Raises:
        DataError: nobody can be evaluated.
    """
    if protocol_of(dataset.schema) == NEXT_BASKET:
        return next_basket.next_basket(dataset.interactions, split)
    return protocol.leave_one_out(dataset.interactions, split)


def training_sequences_of(dataset: Dataset) -> Sequences:
    """The events that may train; no validation or test target is among them.

    Raises:
        DataError: there are baskets, and nobody can be evaluated on one.
    """
    if protocol_of(dataset.schema) == NEXT_BASKET:
        return next_basket.training_sequences(dataset.sequences)
    return protocol.training_sequences(dataset.sequences)
