"""GET /v1/users/{user_id}/context and DELETE /v1/users/{user_id}."""

from __future__ import annotations

from functools import partial

from fastapi import FastAPI, Request, Response

from recsys.serving.answers.answering import Answering
from recsys.serving.answers.users import Forgetting, KnownUsers
from recsys.serving.http.documentation import documented
from recsys.serving.http.json_reply import Json
from recsys.serving.http.middleware import request_id
from recsys.serving.messages import more_examples as examples
from recsys.serving.messages.more_replies import DeletionReply, UserContextReply
from recsys.serving.routes.paths import UserId


def add_context(app: FastAPI, users: KnownUsers) -> None:
    """Adds the route that tells what is known."""

    @app.get(
        "/v1/users/{user_id:id}/context",
        response_model=UserContextReply,
        responses=documented(examples.CONTEXT_REPLY, 422, 503),
        summary="What is known of a user now",
    )
    def context(request: Request, user_id: UserId) -> Response:
        """The feature row that the next answer would be made from; of an unknown user an empty one."""
        return Json(users.context(user_id, request_id(request.scope)))


def add_deletion(app: FastAPI, forgetting: Forgetting, answering: Answering) -> None:
    """Adds the route that forgets, which takes its time."""

    @app.delete(
        "/v1/users/{user_id:id}",
        response_model=DeletionReply,
        responses=documented(examples.DELETION_REPLY, 422, 503),
        summary="Forget a user, everywhere",
    )
    async def forget(request: Request, user_id: UserId) -> Response:
        """The same as `recsys events delete-user`; answered when it is complete, and safe to send again.

        When this answers 200, no read, training or export finds the user, and no file of the workspace holds the id.
        It takes about a second for 10 MB of events; events are refused meanwhile with a 503, to be sent again, and one
        deletion is made at a time. After a 503 send it again: the code says
        whether nothing was deleted (`not_deleted`) or some traces are left (`not_deleted_everywhere`).
        """
        return Json(await answering.run(partial(forgetting.forget, user_id, request_id(request.scope))))
