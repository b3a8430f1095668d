"""The explaining job: one user's history beside what the champion recommends, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from recsys.context.rows import feature_service_name
from recsys.errors import ConfigError
from recsys.jobs.opened import opened
from recsys.workspace import Workspace

HISTORY_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Because:
    """A history item's part in a score."""

    item_id: str
    title: str
    share: float


@dataclass(frozen=True, slots=True)
class Explained:
    """One recommended item.

    Attributes:
        item_id: the item.
        title: what it is called; its id where it has no title.
        score: the model's score.
        experts: each expert's share; they sum to the score.
        because: the history items that contributed most, best first.
    """

    item_id: str
    title: str
    score: float
    experts: Mapping[str, float]
    because: tuple[Because, ...]


@dataclass(frozen=True, slots=True)
class Explanations:
    """A user's history and recommendations.

    Attributes:
        workspace: name of the workspace.
        user_id: the user.
        events: positive events in all.
        history: (item id, title) of the newest ones, newest first.
        recommendations: best first.
        model_version: the champion's version.
        content_hash: SHA-256 of its model files.
        lineage: where it came from: data fingerprint, log position, code commit and more.
        feature_service: the version of the features that the user's row is of.
        features_up_to: the newest event of the log that the row holds; 0 for none.
    """

    workspace: str
    user_id: str
    events: int
    history: tuple[tuple[str, str], ...]
    recommendations: tuple[Explained, ...]
    model_version: str
    content_hash: str
    lineage: Mapping[str, object]
    feature_service: str
    features_up_to: int

    def as_dict(self) -> dict[str, object]:
        """Plain values, for --json."""
        return asdict(self)


def explain(workspace: Workspace, user_id: str, *, k: int = 10) -> Explanations:
    """Recommends to one user as the service would now, and says why.

    Args:
        workspace: the workspace.
        user_id: a user that it knows.
        k: how many items.

    Raises:
        ConfigError: the user is unknown, k is out of range, or there is no champion.
        FeatureStoreError: the features were never materialised.
    """
    found = opened(workspace)
    n_items = len(found.recommender.vocabulary)
    if not 1 <= k <= n_items:
        raise ConfigError(f"k is {k}; the catalogue has {n_items} items, ask for 1 to that many.")
    [row] = found.reader.online([user_id])
    if not row.present:
        some = ", ".join(found.catalogue.users["user_id"].head(5).to_list())
        raise ConfigError(f"Workspace '{workspace.name}' knows no user '{user_id}'. Some that it knows: {some}.")
    [ranking] = found.recommender.recommend([row], k=k, allowed=found.available())
    reasons = found.recommender.explain(row, ranking.item_ids)
    newest = tuple(reversed(row.history_items[-HISTORY_SHOWN:]))
    mentioned = {*newest, *ranking.item_ids, *(item for reason in reasons for item, _ in reason.history)}
    titles = dict(zip(sorted(mentioned), found.titles(sorted(mentioned)), strict=True))
    return Explanations(
        workspace=workspace.name,
        user_id=user_id,
        events=row.event_count,
        history=tuple((item, titles[item]) for item in newest),
        recommendations=tuple(
            Explained(
                item_id=reason.item_id,
                title=titles[reason.item_id],
                score=reason.score,
                experts=dict(reason.experts),
                because=tuple(Because(item, titles[item], share) for item, share in reason.history),
            )
            for reason in reasons
        ),
        model_version=found.champion.version,
        content_hash=found.champion.content_hash,
        lineage=found.snapshot.lineage,
        feature_service=feature_service_name(found.schema),
        features_up_to=row.log_sequence,
    )
