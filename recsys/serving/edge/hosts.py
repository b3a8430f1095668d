"""Answers only to its own names: without keys, a page from elsewhere must not reach the service through a browser.

By DNS rebinding the name of a foreign site comes to mean 127.0.0.1; the browser still says that name in the header
Host. An address as Host is never a rebound one.

Own code, as Starlette's TrustedHostMiddleware answers in plain text and knows names only, not all of loopback or every
address of a machine.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from recsys.errors import ConfigError
from recsys.serving.edge.access import is_loopback
from recsys.serving.http.problems import refusal

_EVERY_ADDRESS = frozenset({"0.0.0.0", "::"})
_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([^\[\]:/@,\s]+))(?::[0-9]*)?", re.ASCII)
_NAME = re.compile(r"[a-z0-9_]([a-z0-9_.-]{0,252})", re.ASCII)
_NONE = "Send one header Host: the name or address, and the port, under which this service was asked."
_FOREIGN = (
    "The header Host does not name this service. If it is a name of its, start it with --allowed-host NAME, or let it "
    "ask for API keys."
)


def own_hosts(bound: str, names: Sequence[str]) -> frozenset[str]:
    """What a service answers to beside loopback.

    Args:
        bound: the address or name that it listens on; where that is every address, any address is its own.
        names: more names or addresses, as the operator gave them.

    Raises:
        ConfigError: one of them is neither.
    """
    return frozenset({bound.lower(), *(_checked(name) for name in names)})


def _checked(name: str) -> str:
    wanted = name.lower().rstrip(".")
    if not _NAME.fullmatch(wanted) and not _is_address(wanted):
        raise ConfigError(f"{name!r} is no name of a host: give it without scheme, port and path, as shop.lan.")
    return wanted


class KnownHosts:
    """Refuses requests that were meant for somebody else (421), or do not say for whom (400).

    Args:
        app: what is protected.
        hosts: what it answers to beside loopback.
        refused: told the problem's code of each refusal.
    """

    def __init__(self, app: ASGIApp, hosts: frozenset[str], refused: Callable[[str], None]) -> None:
        self.app = app
        self._hosts = hosts
        self._any_address = bool(hosts & _EVERY_ADDRESS)
        self._refused = refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        sent = [value for name, value in scope["headers"] if name == b"host"]
        old = not sent and scope["http_version"] == "1.0"  # which has no such header, and is no browser's
        own = old or (len(sent) == 1 and self._is_own(sent[0].decode("latin-1")))
        await (self.app if own else self._refusal(len(sent), scope))(scope, receive, send)

    def _is_own(self, header: str) -> bool:
        found = _HOST.fullmatch(header.lower())
        if found is None:
            return False
        host = found[1] or found[2].rstrip(".")
        return host in self._hosts or is_loopback(host) or (self._any_address and _is_address(host))

    def _refusal(self, sent: int, scope: Scope) -> Response:
        status, code, detail = (421, "misdirected_request", _FOREIGN) if sent == 1 else (400, "bad_request", _NONE)
        self._refused(code)
        return refusal(scope, status, code, detail, {})


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
