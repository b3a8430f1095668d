"""What is known of a user, and forgetting it."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from recsys.context.batch import FeatureRow
from recsys.data.schema import WorkspaceSchema
from recsys.errors import LeaseError, RecsysError
from recsys.serving.answers.recommending import microseconds_now
from recsys.serving.contexts import resolve
from recsys.serving.folder.items import ItemSource
from recsys.serving.http.problems import TryAgainError
from recsys.serving.messages.degraded import described
from recsys.serving.messages.more_replies import Affinity, DeletionReply, HistoryEvent, UserContextReply
from recsys.serving.ports import DeleteUsers, ModelSource, NoChampionError, ServedFeatures

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class KnownUsers:
    """The one way to what is stored of a user.

    Attributes:
        models: says which features are read.
        items: what items are called.
        clock: microseconds since the epoch.
    """

    models: ModelSource
    items: ItemSource
    clock: Callable[[], int] = microseconds_now

    def context(self, user_id: str, request_id: str) -> UserContextReply:
        """The user's row; of an unknown user an empty one.

        Raises:
            NoChampionError: there is no model.
        """
        model = self.models.current()
        features = model.features
        found = resolve(user_id, None, features.contexts, features.schema, self.clock())
        row, schema = found.row, features.schema
        return UserContextReply(
            request_id=request_id,
            model_version=model.version,
            feature_service=features.service,
            degraded=described(found.degraded or model.degraded),
            user_id=user_id,
            known=found.stored,
            events=row.event_count,
            log_sequence=row.log_sequence,
            first_event_at=_moment(row.first_event_at, schema),
            last_event_at=_moment(row.last_event_at, schema),
            events_last_7_days=row.events_last_7_days,
            events_last_30_days=row.events_last_30_days,
            history=_history(row, schema, self.items.current().titles),
            seen_items=list(row.seen_items),
            affinities=[
                Affinity(category=name, share=weight)
                for name, weight in zip(row.affinity_names, row.affinity_weights, strict=True)
            ],
            profile={name: _plain(value) for name, value in row.profile.items()},
        )


@dataclass(frozen=True, slots=True)
class Forgetting:
    """The one way of forgetting a user while the service runs.

    Attributes:
        delete_users: the deletion, complete when it returns.
        models: to tell what answers.
        features: what is read while there is no model.
    """

    delete_users: DeleteUsers
    models: ModelSource
    features: ServedFeatures

    def forget(self, user_id: str, request_id: str) -> DeletionReply:
        """Deletes the user; can be repeated.

        Raises:
            TryAgainError: another job is changing the workspace and nothing was deleted, or the deletion is durable and
                felt and could not be completed everywhere.
        """
        try:
            done = self.delete_users([user_id])
        except LeaseError as error:
            raise TryAgainError(
                "not_deleted", "Another job is changing the workspace. Send the same request again later."
            ) from error
        except (RecsysError, OSError, sqlite3.Error) as error:
            _log.warning("request %s: a deletion is not complete: %s", request_id, error)
            raise TryAgainError(
                "not_deleted_everywhere",
                "The deletion could not be completed everywhere; what is left is out of use once the log knows of it. "
                "Send the same request again.",
            ) from error
        model_version, features = self._answering()
        return DeletionReply(
            request_id=request_id,
            model_version=model_version,
            feature_service=features.service,
            degraded=None,
            user_id=user_id,
            events=done.events,
            log_sequence=done.position,
        )

    def _answering(self) -> tuple[str | None, ServedFeatures]:
        try:
            model = self.models.current()
        except NoChampionError:
            return None, self.features
        return model.version, model.features


def _history(row: FeatureRow, schema: WorkspaceSchema, titles: Mapping[str, str]) -> list[HistoryEvent]:
    events = zip(row.history_items, row.history_times, row.history_values, strict=True)
    return [
        HistoryEvent(item_id=item_id, title=titles.get(item_id), occurred_at=_moment(at, schema), value=value)
        for item_id, at, value in events
    ]


def _moment(at: int, schema: WorkspaceSchema) -> str | None:
    if at == 0 or not schema.clock:
        return None
    try:
        return (_EPOCH + timedelta(microseconds=at)).isoformat().replace("+00:00", "Z")
    except OverflowError:  # no calendar reaches it
        return None


def _plain(value: object) -> str | float | list[str] | None:
    if value is None or isinstance(value, str | float):
        return value
    return [str(member) for member in value] if isinstance(value, list | tuple) else str(value)
