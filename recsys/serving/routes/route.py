"""What every route of the service does with a request before the route's own function sees it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.routing import Match
from starlette.types import Scope

from recsys.serving.http.large_bodies import parsed_beside_the_loop
from recsys.serving.routes.paths import as_sent


class ServiceRoute(APIRoute):
    """Takes ids from the path as it was sent, and has large bodies parsed in a thread."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        return super().matches(as_sent(scope) if self.param_convertors else scope)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        return handle if self.body_field is None else parsed_beside_the_loop(handle, self.body_field)
