"""The HTTP application: routes, nothing else. What they do lives in recommending, intake and champion."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, ExitStack, asynccontextmanager
from functools import partial
from typing import Annotated

from fastapi import Body, FastAPI, Request, Response

from recsys import __version__
from recsys.ranking.kept_heads import KeptHeads
from recsys.serving.answers.answering import Answering, bound_other_threads, changing, deleting, measuring, recording
from recsys.serving.answers.catalogue_requests import CatalogueRequests
from recsys.serving.answers.choosing import Choice
from recsys.serving.answers.heads import Heads
from recsys.serving.answers.intake import Intake
from recsys.serving.answers.recommending import Recommending, microseconds_now
from recsys.serving.answers.scoring import Scoring
from recsys.serving.answers.similar import Similar
from recsys.serving.answers.users import Forgetting, KnownUsers
from recsys.serving.edge.draining import Draining
from recsys.serving.edge.metrics import Meters, ServiceState, add_metrics
from recsys.serving.edge.protection import OPEN, Protection, protect
from recsys.serving.edge.refusals import refusals
from recsys.serving.experiment.experiment import Experiment
from recsys.serving.experiment.splitting import Split
from recsys.serving.folder.items import ItemSource, NoItems
from recsys.serving.http import problems
from recsys.serving.http.documentation import describe, documented
from recsys.serving.http.json_reply import Json
from recsys.serving.http.middleware import request_id
from recsys.serving.messages import examples
from recsys.serving.messages.degraded import described
from recsys.serving.messages.replies import EventsReply, Health, ModelReply, Readiness, RecommendationReply
from recsys.serving.messages.requests import EventsRequest, RecommendationRequest
from recsys.serving.ports import DeleteUsers, EventSink, ItemWriter, LiveRows, ModelSource, ServedFeatures
from recsys.serving.routes.heads import add_heads
from recsys.serving.routes.items import add_item_changes, add_similar
from recsys.serving.routes.route import ServiceRoute
from recsys.serving.routes.scores import add_scores
from recsys.serving.routes.users import add_context, add_deletion

_DESCRIPTION = """Personal recommendations from a context, not from a stored user vector.

Every reply carries the request's id (yours, from `X-Request-ID`, or a new one). Replies under `/v1/` also carry the
model's version, the feature service's version and `degraded`: null, or why the answer is less than it could be. Errors
are problem documents (RFC 9457). Unknown fields are errors."""


def create_app(
    *,
    models: ModelSource,
    features: ServedFeatures,
    log: EventSink,
    live: LiveRows,
    items: ItemSource | None = None,
    item_writer: ItemWriter | None = None,
    delete_users: DeleteUsers | None = None,
    clock: Callable[[], int] = microseconds_now,
    running: Sequence[AbstractContextManager[object]] = (),
    experiment: Experiment | None = None,
    protection: Protection = OPEN,
    kept: KeptHeads | None = None,
) -> FastAPI:
    """Builds the application over its ports.

    Args:
        models: which model answers, and from which features.
        features: those that were opened first, for what is said while there is no model.
        log: the event log.
        live: refreshes online rows after an append.
        items: titles, attributes and availability of items; None: nothing is known but ids.
        item_writer: changes the catalogue; None: there are no such routes.
        delete_users: forgets users; None: there is no such route.
        clock: microseconds since the epoch.
        running: entered when the server starts, left in reverse when it stops.
        experiment: who answers whom, and what is kept of it; None: the champion answers and nothing is kept.
        protection: who may come in, and how many at a time.
        kept: what the models keep of users, to be counted.
    """
    experiment = experiment or Experiment(Split(models))
    draining, meters = Draining(protection.notice_seconds), Meters()
    if kept is not None:
        kept.tell = meters.kept
    app = FastAPI(
        title="recsys",
        version=__version__,
        description=_DESCRIPTION,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan((*running, draining)),
    )
    app.router.route_class = ServiceRoute
    choice = Choice(items or NoItems())
    _add_recommendations(app, Recommending(experiment, choice, clock), Answering())
    add_scores(app, Scoring(models, clock))
    add_heads(app, Heads(models, clock))
    add_similar(app, Similar(models, choice))
    add_context(app, KnownUsers(models, choice.items, clock))
    if item_writer is not None:
        add_item_changes(app, CatalogueRequests(item_writer, choice.items, models, features), changing())
    if delete_users is not None:
        add_deletion(app, Forgetting(delete_users, models, features), deleting())
    _add_events(app, Intake(log, live, models, features, clock), recording(protection.event_seconds))
    _add_model(app, models, experiment)
    _add_health(app, models)
    add_metrics(app, meters, ServiceState(models, features, log), measuring())
    problems.install(app)
    describe(app, refusals)
    protect(app, protection, draining, meters)
    return app


def _add_recommendations(app: FastAPI, recommending: Recommending, answering: Answering) -> None:
    @app.post(
        "/v1/recommendations",
        response_model=RecommendationReply,
        responses=documented(examples.RECOMMENDATION_REPLY, 422, 503),
        summary="The best items for a user, a context, or both",
    )
    async def recommend(
        request: Request,
        body: Annotated[RecommendationRequest, Body(openapi_examples=examples.RECOMMENDATION_REQUESTS)],
    ) -> Response:
        """Takes a stored user, an inline context, or both.

        A never-seen user with an inline history gets personal items in the same call; an empty context gets what
        suits everybody, and `degraded` says so.
        """
        items = recommending.quick_items(body, request_id(request.scope))
        answer = partial(recommending.answer, body, request_id(request.scope), items)
        return Json(await answering.run(answer) if items is None else answer())


def _add_events(app: FastAPI, intake: Intake, answering: Answering) -> None:
    @app.post(
        "/v1/events",
        response_model=EventsReply,
        responses=documented(examples.EVENTS_REPLY, 422, 503),
        summary="Report what happened; acknowledged once it is durable",
    )
    async def events(
        request: Request,
        body: Annotated[EventsRequest, Body(openapi_examples=examples.EVENTS_REQUESTS)],
    ) -> Response:
        """The next read for these users shows the effect. Sending an event_id again changes nothing.

        Where the log cannot be written within seconds, as while a user is deleted, they are refused with a 503.
        """
        return Json(await answering.run(partial(intake.take, body, request_id(request.scope))))


def _add_model(app: FastAPI, models: ModelSource, experiment: Experiment) -> None:
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
                experiment=experiment.state(),
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
        bound_other_threads()
        with ExitStack() as stack:
            for resource in running:
                stack.enter_context(resource)
            yield

    return lifespan
