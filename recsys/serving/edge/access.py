"""Asks callers who they are, before anything of their request is read: keys, scopes and rates.

A middleware and no dependency of the routes: it stands before the body, and before routes that are forgotten in the
table of scopes.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from pathlib import Path

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as Request

from recsys.errors import ConfigError
from recsys.serving.edge.key_ring import KeyRing
from recsys.serving.edge.keys import Key, KeyStore
from recsys.serving.edge.rates import Rates
from recsys.serving.edge.scopes import route_of, scope_of
from recsys.serving.http.problems import refusal

_REALM = 'Bearer realm="recsys"'
_KEY_NAME = "key_name"


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach that address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def asks_for_keys(host: str, keys_file: Path, *, auth: bool | None = None, without_auth: bool = False) -> bool:
    """Whether a service at that address asks its callers for a key.

    Args:
        host: the address that it listens on.
        keys_file: the workspace's keys.
        auth: what the operator wants; None: everywhere but on loopback.
        without_auth: the operator knows that whoever reaches the address may do everything.

    Raises:
        ConfigError: nobody could get in, or everybody from elsewhere could and the operator did not say that they may.
    """
    if without_auth and auth:
        raise ConfigError("--auth and --without-auth contradict each other: give one of them.")
    if is_loopback(host) or without_auth:
        wanted = bool(auth)
    elif auth is False:
        raise ConfigError(
            f"{host} can be reached from other machines: --no-auth is for loopback. If whoever reaches it may read, "
            "write and delete, say so with --without-auth."
        )
    else:
        wanted = True
    if wanted and not KeyStore(keys_file).listed():
        raise ConfigError(
            f"{host} would ask for API keys and there are none, so nobody could use it. Make one with: recsys keys "
            "create --name NAME --scope read (and write, for events). To let whoever reaches it read, write and "
            "delete: --without-auth"
        )
    return wanted


def key_name(request: Request) -> str | None:
    """Whose key came with the request; None when none was asked for."""
    name: str | None = request.get("state", {}).get(_KEY_NAME)
    return name


class Access:
    """Lets a request through when its key may make it: 401 without a key, 403 without the scope, 429 above the rate.

    Args:
        app: what is protected.
        keys: who may.
        refused: told the problem's code of each refusal.
    """

    def __init__(self, app: ASGIApp, keys: KeyRing, refused: Callable[[str], None]) -> None:
        self.app = app
        self._keys = keys
        self._rates = Rates()
        self._refused = refused

    async def __call__(self, scope: Request, receive: Receive, send: Send) -> None:
        refused = await self._judged(scope) if scope["type"] == "http" else None
        await (refused or self.app)(scope, receive, send)

    async def _judged(self, request: Request) -> Response | None:
        route = route_of(request)
        needed = None if route is None else scope_of(request["method"], route)
        if route is not None and needed is None:
            return None
        offered = _bearer(request)
        key = None if offered is None else self._keys.holder(offered)
        if key is None:
            return self._unknown(request, offered is not None)
        request["state"][_KEY_NAME] = key.name
        if needed is not None and not key.allows(needed):
            challenge = f'{_REALM}, error="insufficient_scope", scope="{needed}"'
            detail = f"This key may not do that: it needs the scope {needed}."
            return self._refusal(request, 403, "forbidden", detail, {"WWW-Authenticate": challenge})
        return await self._too_many(request, key)

    def _unknown(self, request: Request, offered: bool) -> Response:
        challenge = f'{_REALM}, error="invalid_token"' if offered else _REALM
        detail = (
            "There is no such key; it may have been revoked."
            if offered
            else "Send your API key in the header: Authorization: Bearer KEY."
        )
        return self._refusal(request, 401, "unauthorized", detail, {"WWW-Authenticate": challenge})

    async def _too_many(self, request: Request, key: Key) -> Response | None:
        wait = 0 if key.rate is None else await self._rates.seconds_to_wait(key.id, key.rate)
        if not wait:
            return None
        detail = f"This key may make {key.rate} requests. Try again in {wait} s."
        return self._refusal(request, 429, "too_many_requests", detail, {"Retry-After": str(wait)})

    def _refusal(self, request: Request, status: int, code: str, detail: str, headers: dict[str, str]) -> Response:
        self._refused(code)
        return refusal(request, status, code, detail, headers)


def _bearer(request: Request) -> str | None:
    kind, _, token = Headers(scope=request).get("authorization", "").partition(" ")
    return token.strip() or None if kind.lower() == "bearer" else None
