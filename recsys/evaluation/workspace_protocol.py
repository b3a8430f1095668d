"""Which protocol judges a workspace: its schema decides, here and nowhere else.

With `baskets` a workspace is judged on next baskets, without by leave-one-out; with `repeats` nothing is masked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Words:
    """What a protocol's figures mean, for people.

    Attributes:
        targets: what is to be predicted.
        figures: how a ranking of it is judged.
        loss: what the log-loss is of.
        probabilities: how the probability of a top-10 is made of its items'.
    """

    targets: str
    figures: str
    loss: str
    probabilities: str


IN_WORDS: Mapping[str, Words] = {
    LEAVE_ONE_OUT: Words(
        targets="Leave-one-out: the target is each user's last positive event (test) or the one before it "
        "(validation).",
        figures="GAUC is the share of the other items that a user's target is ahead of, every user counting once, ties "
        "lost.",
        loss="Log-loss of the target",
        probabilities="Of a top-10: the sum of the ten, its log-odds put on a line fitted on the same users.",
    ),
    NEXT_BASKET: Words(
        targets="Next basket: the target is the set of items of each user's first basket in the last month of the data "
        "(test) or of the last basket before that month (validation).",
        figures="Recall: share of the basket within the list. HR: whether any of it is. MRR: of its best-ranked item. "
        "GAUC is the share of the items outside the basket that one in it is ahead of, the mean over the basket and "
        "then over users, ties lost. Baselines read complete histories, the model its window and the counts of what "
        "lies before it.",
        loss="Log-loss, mean over the items of the basket,",
        probabilities="An item's probability is that of being in the next basket; that of any of the top-10 takes the "
        "ten as independent of each other, its log-odds put on a line fitted on the same users.",
    ),
}


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
