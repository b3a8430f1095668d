"""What stands in a proxy before several replicas. The proxy imports this alone: nothing of the service, no torch."""

from __future__ import annotations

from starlette.middleware import Middleware

from recsys.serving.http.middleware import RequestIds


def middlewares() -> list[Middleware]:
    """Requests get their id there already: a proxy that names them itself would send an unsafe one back, or a second."""
    return [Middleware(RequestIds)]
