"""The HTTP application: routes, nothing else. What they do lives in recommending, intake and champion."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, ExitStack, asynccontextmanager
from typing import Annotated

import orjson
from fastapi import Body, FastAPI, Request, Response
from pydantic import BaseModel

from recsys import __version__
from recsys.serving import examples, problems
from recsys.serving.degraded import described
from recsys.serving.documentation import describe, documented
from recsys.serving.draining import Draining
from recsys.serving.intake import Intake
from recsys.serving.metrics import Meters, ServiceState, add_metrics
from recsys.serving.middleware import request_id
from recsys.serving.observing import DEGRADED_HEADER
from recsys.serving.ports import EventSink, LiveRows, ModelSource, ServedFeatures
from recsys.serving.protection import OPEN, Protection, protect
from recsys.serving.recommending import Recommending, microseconds_now
from recsys.serving.replies import EventsReply, Health, ModelReply, Readiness, RecommendationReply
from recsys.serving.requests import EventsRequest, RecommendationRequest

_DESCRIPTION = """Personal recommendations from a context, not from a stored user vector.

Every reply carries the request's id (yours, from `X-Request-ID`, or a new one), the model's version, the feature
service's version and, when the answer is less than it could be, `degraded` with its reason. Errors are problem
documents (RFC 9457). Unknown fields are errors."""


class Json(Response):
    """A reply serialised by orjson; its header says whether it is degraded, for proxies and counters."""

    media_type = "application/json"

    def __init__(self, content: BaseModel) -> None:
        degraded = getattr(content, "degraded", None)
        super().__init__(content, headers=None if degraded is None else {DEGRADED_HEADER: degraded.reason})

    def render(self, content: BaseModel) -> bytes:
        return orjson.dumps(content.model_dump())


def create_app(
    *,
    models: ModelSource,
    features: ServedFeatures,
    log: EventSink,
    live: LiveRows,
    clock: Callable[[], int] = microseconds_now,
    running: Sequence[AbstractContextManager[object]] = (),
    protection: Protection = OPEN,
) -> FastAPI:
    """Builds the application over its ports.

    Args:
        models: which model answers, and from which features.
        features: those that were opened first, for what is said while there is no model.
        log: the event log.
        live: refreshes online rows after an append.
        clock: microseconds since the epoch.
        running: entered when the server starts, left in reverse when it stops.
        protection: who may come in, and how many at a time.
    """
    draining, meters = Draining(protection.notice_seconds), Meters()
    app = FastAPI(
        title="recsys",
        version=__version__,
        description=_DESCRIPTION,
        redoc_url=None,
        lifespan=_lifespan((*running, draining)),
    )
    _add_recommendations(app, Recommending(models, clock))
    _add_events(app, Intake(log, live, models, features, clock))
    _add_model(app, models)
    _add_health(app, models)
    add_metrics(app, meters, ServiceState(models, features, log))
    problems.install(app)
    describe(app)
    protect(app, protection, draining, meters)
    return app


def _add_recommendations(app: FastAPI, recommending: Recommending) -> None:
    @app.post(
        "/v1/recommendations",
        response_model=RecommendationReply,
        responses=documented(examples.RECOMMENDATION_REPLY, 400, 413, 415, 422, 503),
        summary="The best items for a user, a context, or both",
    )
    def recommend(
        request: Request,
        body: Annotated[RecommendationRequest, Body(openapi_examples=examples.RECOMMENDATION_REQUESTS)],
    ) -> Response:
        """Takes a stored user, an inline context, or both.

        A never-seen user with an inline history gets personal items in the same call; an empty context gets what
        suits everybody, and `degraded` says so.
        """
        return Json(recommending.answer(body, request_id(request.scope)))


def _add_events(app: FastAPI, intake: Intake) -> None:
    @app.post(
        "/v1/events",
        response_model=EventsReply,
        responses=documented(examples.EVENTS_REPLY, 400, 413, 415, 422, 503),
        summary="Report what happened; acknowledged once it is durable",
    )
    def events(
        request: Request,
        body: Annotated[EventsRequest, Body(openapi_examples=examples.EVENTS_REQUESTS)],
    ) -> Response:
        """The next read for these users shows the effect. Sending an event_id again changes nothing."""
        return Json(intake.take(body, request_id(request.scope)))


def _add_model(app: FastAPI, models: ModelSource) -> None:
    @app.get(
        "/v1/model",
        response_model=ModelReply,
        responses=documented(examples.MODEL_REPLY, 503),
        summary="Which model answers, what it measured and where it comes from",
    )
    def model(request: Request) -> Response:
        served = models.current()
        return Json(
            ModelReply(
                request_id=request_id(request.scope),
                model_version=served.version,
                feature_service=served.features.service,
                degraded=described(served.degraded),
                workspace=served.features.schema.name,
                content_hash=served.content_hash,
                catalogue_size=len(served.vocabulary),
                items_repeat=served.features.schema.repeats,
                metrics=dict(served.metrics),
                lineage=dict(served.lineage),
                context_faults=dict(served.context_faults()),
            )
        )


def _add_health(app: FastAPI, models: ModelSource) -> None:
    @app.get("/healthz", response_model=Health, responses=documented(examples.HEALTH), summary="Is the process alive")
    async def alive(request: Request) -> Response:
        return Json(Health(status="alive", request_id=request_id(request.scope)))

    @app.get(
        "/readyz",
        response_model=Readiness,
        responses=documented(examples.READINESS, 503),
        summary="Can it answer: a model is loaded and warm",
    )
    async def ready(request: Request) -> Response:
        served = models.current()
        return Json(
            Readiness(
                status="ready",
                request_id=request_id(request.scope),
                model_version=served.version,
                feature_service=served.features.service,
            )
        )


def _lifespan(
    running: Sequence[AbstractContextManager[object]],
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with ExitStack() as stack:
            for resource in running:
                stack.enter_context(resource)
            yield

    return lifespan
