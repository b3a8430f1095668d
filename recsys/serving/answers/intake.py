"""Takes events in: into the log first, durably, then towards the online feature rows. Knows nothing of HTTP."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from recsys import columns
from recsys.context.moments import CLOCK_SKEW
from recsys.errors import StoreTimeoutError
from recsys.serving.answers.recommending import microseconds_now
from recsys.serving.contexts import BEFORE_1970, FUTURE, microseconds
from recsys.serving.http.problems import InvalidField, InvalidRequestError, NotAcknowledgedError
from recsys.serving.messages.replies import EventsReply
from recsys.serving.messages.requests import EventsRequest, NewEvent
from recsys.serving.ports import EventSink, LiveRows, ModelSource, NoChampionError, ServedFeatures, ServedModel

_LOG_FRAME = pl.Schema(
    {
        columns.EVENT_ID: pl.String(),
        columns.USER_ID: pl.String(),
        columns.ITEM_ID: pl.String(),
        columns.OCCURRED_AT: pl.Int64(),
        columns.EVENT: pl.String(),
        columns.VALUE: pl.Float32(),
        columns.REQUEST_ID: pl.String(),
    }
)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Intake:
    """The one way of an event into the product while the service runs.

    Attributes:
        log: the event log; an event counts as received when its append has returned.
        live: refreshes the online rows afterwards; reads do not depend on it, they fold in the log's tail.
        models: to tell which items cannot be scored yet.
        features: what is read while there is no model.
        clock: microseconds since the epoch.
    """

    log: EventSink
    live: LiveRows
    models: ModelSource
    features: ServedFeatures
    clock: Callable[[], int] = microseconds_now

    def take(self, request: EventsRequest, request_id: str) -> EventsReply:
        """Appends the events and acknowledges them.

        Raises:
            InvalidRequestError: an event lies in the future or before 1970.
            NotAcknowledgedError: the log could not make them durable, or not within the time budget; send them again.
        """
        now = self.clock()
        frame = self._frame(request.events, now)
        try:
            appended = self.log.append(frame)
        except Exception as error:
            waited = isinstance(error, StoreTimeoutError)  # which happens to many at a time, and is nobody's defect
            _log.log(
                logging.WARNING if waited else logging.ERROR,
                "request %s: the event log took none of %d events",
                request_id,
                len(request.events),
                exc_info=not waited,
            )
            raise NotAcknowledgedError(
                "The event log could not be written: none of these events counts as received. Send them again, "
                "with the same event_id each."
            ) from error
        self._refresh(request)
        model = self._model()
        return EventsReply(
            request_id=request_id,
            model_version=model.version if model else None,
            feature_service=(model.features if model else self.features).service,
            degraded=None,
            accepted=appended.accepted,
            duplicates=appended.duplicates,
            conflicts=appended.conflicts,
            withheld=appended.withheld,
            log_sequence=appended.last_sequence,
            event_ids=frame[columns.EVENT_ID].to_list(),
            unknown_items=_unknown(request, model),
        )

    def _frame(self, events: list[NewEvent], now: int) -> pl.DataFrame:
        times = [now if event.occurred_at is None else microseconds(event.occurred_at) for event in events]
        wrong = [
            InvalidField(("events", n, "occurred_at"), FUTURE if at > 0 else BEFORE_1970)
            for n, at in enumerate(times)
            if not 0 < at <= now + CLOCK_SKEW
        ]
        if wrong:
            raise InvalidRequestError(*wrong)
        return pl.DataFrame(
            {
                columns.EVENT_ID: [event.event_id or uuid.uuid4().hex for event in events],
                columns.USER_ID: [event.user_id for event in events],
                columns.ITEM_ID: [event.item_id for event in events],
                columns.OCCURRED_AT: times,
                columns.EVENT: [event.event for event in events],
                columns.VALUE: [event.value for event in events],
                columns.REQUEST_ID: [event.request_id for event in events],
            },
            schema=_LOG_FRAME,
        )

    def _refresh(self, request: EventsRequest) -> None:
        try:
            self.live.refresh(list(dict.fromkeys(event.user_id for event in request.events)))
        except Exception:  # the events are durable: the acknowledgement must not be lost
            _log.exception("the online rows were not refreshed; reads fold in the log's tail meanwhile")

    def _model(self) -> ServedModel | None:
        try:
            return self.models.current()
        except NoChampionError:
            return None


def _unknown(request: EventsRequest, model: ServedModel | None) -> list[str]:
    if model is None:
        return []
    return list(dict.fromkeys(event.item_id for event in request.events if event.item_id not in model.vocabulary))
