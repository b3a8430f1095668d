"""A small client of the HTTP service, for flows and tests. It knows the API, not the server's code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import httpx

from recsys.errors import RecsysError


class ServiceError(RecsysError):
    """The service answered with a problem, or not at all.

    Attributes:
        status: the HTTP status; 0 when there was no answer.
        problem: the problem document, empty when there was none.
    """

    def __init__(self, message: str, status: int = 0, problem: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.problem = dict(problem or {})


class ServiceClient:
    """One service at one address; replies are the API's JSON objects.

    Args:
        url: where it answers, for example http://127.0.0.1:8000.
        timeout: seconds for one request.
    """

    def __init__(self, url: str, timeout: float = 10.0) -> None:
        self.url = url
        self._http = httpx.Client(base_url=url, timeout=timeout, trust_env=False)

    def recommend(
        self,
        user_id: str | None = None,
        *,
        history: Sequence[str] | None = None,
        profile: Mapping[str, object] | None = None,
        k: int = 10,
        exclude_seen: bool | None = None,
        exclude_items: Sequence[str] = (),
        surface: str | None = None,
    ) -> dict[str, Any]:
        """POST /v1/recommendations.

        Args:
            user_id: a stored user, None for a visitor.
            history: item ids, oldest first, that the caller knows of beyond what is stored.
            profile: values of the workspace's user columns.
            k: how many items.
            exclude_seen: None: yes where items do not repeat.
            exclude_items: not these.
            surface: where the list will be shown, for the record of impressions.

        Raises:
            ServiceError: the service answered with a problem, or not at all.
        """
        body: dict[str, Any] = {"user_id": user_id, "k": k, "exclude_items": list(exclude_items)}
        if history is not None or profile is not None:
            events = [{"item_id": item_id} for item_id in history or ()]
            body["context"] = {"history": events, "profile": dict(profile or {})}
        if surface is not None:
            body["surface"] = surface
        if exclude_seen is not None:
            body["exclude_seen"] = exclude_seen
        return self._asked("POST", "/v1/recommendations", body)

    def post_events(self, *events: Mapping[str, object]) -> dict[str, Any]:
        """POST /v1/events; each event has at least user_id and item_id, and `request_id` where it answers a reply.

        Raises:
            ServiceError: the service answered with a problem, or not at all.
        """
        return self._asked("POST", "/v1/events", {"events": [dict(event) for event in events]})

    def model(self) -> dict[str, Any]:
        """GET /v1/model. Raises: ServiceError."""
        return self._asked("GET", "/v1/model")

    def ready(self) -> dict[str, Any]:
        """GET /readyz. Raises: ServiceError when it is not ready."""
        return self._asked("GET", "/readyz")

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _asked(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        try:
            reply = self._http.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise ServiceError(
                f"{self.url} does not answer ({type(error).__name__}: {error}). Is `recsys serve` running there?"
            ) from error
        if reply.is_success:
            answer: dict[str, Any] = reply.json()
            return answer
        problem = reply.json() if "json" in reply.headers.get("content-type", "") else {}
        detail = problem.get("detail") or reply.text[:200]
        raise ServiceError(f"{method} {path} at {self.url}: {reply.status_code} {detail}", reply.status_code, problem)
