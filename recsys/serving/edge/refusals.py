"""What the edge may refuse a request with before its route sees it; for the documentation, which tests hold to it."""

from __future__ import annotations

from collections.abc import Collection

from recsys.serving.edge.admission import ALWAYS
from recsys.serving.edge.scopes import scope_of

_ANY = frozenset({400, 421, 431})
_WITHOUT_A_KEY = frozenset({401, 403, 429})
_ITS_BODY = frozenset({408, 413, 415})
_WHILE_BUSY = frozenset({503})


def refusals(method: str, path: str, takes_a_body: bool) -> Collection[int]:
    """Status codes of one route's refusals, whether or not this service asks for keys.

    Args:
        method: the route's.
        path: as the route declares it.
        takes_a_body: whether it reads one.
    """
    found = _ANY
    if scope_of(method, path) is not None:
        found |= _WITHOUT_A_KEY
    if takes_a_body:
        found |= _ITS_BODY
    if path not in ALWAYS:
        found |= _WHILE_BUSY
    return found
