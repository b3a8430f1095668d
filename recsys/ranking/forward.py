"""From feature rows to scores or heads, by way of what is kept of users. It knows no masks and no ranks."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from recsys.context.batch import ContextBatch, FeatureRow
from recsys.context.encoder import ContextEncoder
from recsys.model.head import HeadWeights
from recsys.model.partial import Heard, PartialScoring
from recsys.model.personal import Generated, PersonalModel
from recsys.ranking.kept_heads import Kept, KeptHeads, content_of

NOTHING_KEPT = KeptHeads(0)


class Forward:
    """One model's way from rows.

    Args:
        model: experts and generator.
        encoder: feature rows to tensors.
        kept: keeps what was generated for users.
        identity: tells this model from others in `kept`, whatever they are called.
    """

    def __init__(
        self, model: PersonalModel, encoder: ContextEncoder, kept: KeptHeads = NOTHING_KEPT, identity: str = ""
    ) -> None:
        self._model = model
        self._encoder = encoder
        self._kept = kept
        self._identity = identity

    def keeping(self, kept: KeptHeads, identity: str) -> Forward:
        """The same way with another memory."""
        return Forward(self._model, self._encoder, kept, identity)

    def scored(
        self, rows: Sequence[FeatureRow], moments: Sequence[int] | None
    ) -> tuple[ContextBatch, Tensor, HeadWeights]:
        """Contexts, (batch, n_items) logits and heads; of a stored user's row all that is not a score is kept.

        Args:
            rows: feature rows, one a context.
            moments: when each recommendation is asked for, microseconds; None: the model is not told.
        """
        whose, found = self._kept_of(rows, moments)
        if whose is not None and found is not None:
            return self._again(found, whose[0])
        context = self._encoder.encode(rows, moments)
        scored = self._model.forward(context)
        self._keep(whose, context, scored.generated)
        return context, scored.scores, scored.head

    def generated(
        self, partial: PartialScoring, row: FeatureRow, moments: Sequence[int] | None
    ) -> tuple[Heard, Generated]:
        """A context with its state and head, without a score of every item; kept as by `scored`."""
        whose, found = self._kept_of([row], moments)
        if found is not None:
            return partial.hear(found.context), found.generated
        heard = partial.hear(self._encoder.encode([row], moments))
        made = partial.generate(heard)
        self._keep(whose, heard.context, made)
        return heard, made

    def _kept_of(
        self, rows: Sequence[FeatureRow], moments: Sequence[int] | None
    ) -> tuple[tuple[str, bytes] | None, Kept | None]:
        """Under which user and content something of these rows may be kept, and what is.

        Something may be where there is one row alone and it is a stored user's.
        """
        if self._kept is NOTHING_KEPT or len(rows) != 1 or rows[0].inline or not rows[0].present:
            return None, None
        user_id = rows[0].user_id
        if user_id is None:
            return None, None
        content = content_of(rows[0], None if moments is None else moments[0])
        return (user_id, content), self._kept.find(self._identity, user_id, content)

    def _keep(self, whose: tuple[str, bytes] | None, context: ContextBatch, made: Generated) -> None:
        if whose is not None:
            user_id, content = whose
            self._kept.keep(self._identity, user_id, Kept(content, context.trimmed(), made))

    def _again(self, found: Kept, user_id: str) -> tuple[ContextBatch, Tensor, HeadWeights]:
        said = self._kept.find_experts(self._identity, user_id, found.content)
        if said is None:
            said = self._model.network.others_say(found.context)
            self._kept.keep_experts(self._identity, user_id, found.content, said)
        return found.context, self._model.again(found.generated, said), found.generated.head
