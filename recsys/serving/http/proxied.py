"""What stands in a proxy before several replicas. The proxy imports this alone: nothing of the service, no torch."""

from __future__ import annotations

from starlette.middleware import Middleware

from recsys.serving.http.middleware import RequestIds


def middlewares() -> list[Middleware]:
    """Names requests there already: a proxy that does so by itself would send an unsafe id back, or a second one."""
    return [Middleware(RequestIds)]
