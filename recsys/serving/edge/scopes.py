"""What a caller must be allowed to do for each route. A route that is not named here needs an administrator's key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

from starlette.routing import Match
from starlette.types import Scope as Request

from recsys.errors import ConfigError


class Scope(StrEnum):
    """What a key allows: to ask, to tell, or everything. Reading and writing do not contain each other."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


def parsed_scopes(names: Sequence[str]) -> list[Scope]:
    """Scopes by their names. Raises: ConfigError when one is none."""
    try:
        return [Scope(name) for name in names]
    except ValueError:
        raise ConfigError(f"A scope is one of {', '.join(Scope)}, not {' '.join(names)}.") from None


SCOPES: Mapping[tuple[str, str], Scope | None] = {
    ("GET", "/healthz"): None,
    ("GET", "/readyz"): None,
    ("GET", "/metrics"): Scope.READ,
    ("GET", "/docs"): Scope.READ,
    ("GET", "/docs/oauth2-redirect"): Scope.READ,
    ("GET", "/openapi.json"): Scope.READ,
    ("GET", "/v1/model"): Scope.READ,
    ("POST", "/v1/recommendations"): Scope.READ,
    ("POST", "/v1/scores"): Scope.READ,
    ("POST", "/v1/heads"): Scope.READ,
    ("GET", "/v1/items/{item_id:id}/similar"): Scope.READ,
    ("POST", "/v1/events"): Scope.WRITE,
    ("PUT", "/v1/items/{item_id:id}"): Scope.WRITE,
    ("DELETE", "/v1/items/{item_id:id}"): Scope.WRITE,
    ("GET", "/v1/users/{user_id:id}/context"): Scope.ADMIN,
    ("DELETE", "/v1/users/{user_id:id}"): Scope.ADMIN,
}
"""By method and path as the route declares it; None: open to everybody, for whoever supervises the process."""


def route_of(request: Request) -> str | None:
    """The path of the route that will answer, as it was declared; None when none will (404, 405).

    A route without a path of its own, such as a mounted application, is called by its class: it has no scope.
    """
    for route in request["app"].routes:
        match, _ = route.matches(request)
        if match is Match.FULL:
            return str(getattr(route, "path", type(route).__name__))
    return None


def scope_of(method: str, route: str) -> Scope | None:
    """What a route asks for; None: nothing. HEAD asks for what GET does."""
    return SCOPES.get(("GET" if method == "HEAD" else method, route), Scope.ADMIN)
