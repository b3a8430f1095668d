"""How a request is sent and a reply becomes a value or an error, and when it is worth trying again."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from typing import Any

import httpx
from pydantic import ValidationError
from tenacity import RetryCallState, retry_if_exception, stop_after_attempt, wait_random_exponential
from tenacity.wait import wait_base

from recsys import __version__
from recsys.client.calls import Call, Reply
from recsys.errors import ServiceError

ATTEMPTS = 3
TIMEOUT_SECONDS = 10.0
LONGEST_WAIT_SECONDS = 10.0
_PASSING = frozenset({0, 408, 429, 502, 503, 504})
_GATEWAY_TIMEOUT = 504
_SHOWN = 200
_FAULTS_SHOWN = 5


class _Wait(wait_base):
    """What the service asked for (Retry-After), else a random time that grows with each attempt."""

    def __init__(self) -> None:
        self._growing = wait_random_exponential(multiplier=0.1, max=LONGEST_WAIT_SECONDS)

    def __call__(self, retry_state: RetryCallState) -> float:
        failed = retry_state.outcome.exception() if retry_state.outcome is not None else None
        asked = failed.retry_after if isinstance(failed, ServiceError) else None
        return float(self._growing(retry_state)) if asked is None else min(asked, LONGEST_WAIT_SECONDS)


def retrying(call: Call[Any], attempts: int) -> dict[str, Any]:
    """Arguments of tenacity's `Retrying` and `AsyncRetrying` for one call.

    Args:
        call: what is asked; one that may not be repeated is sent once, and one that takes long is not sent again where
            the first may still be under way.
        attempts: how often it is sent at most.
    """
    passing = _is_passing if call.patience is None else _has_ended
    return {
        "stop": stop_after_attempt(attempts if call.repeatable else 1),
        "wait": _Wait(),
        "retry": retry_if_exception(passing),
        "reraise": True,
    }


def headers(key: str | None) -> Mapping[str, str]:
    """What is sent with each request."""
    told = {"User-Agent": f"recsys/{__version__} python/{platform.python_version()}"}
    return told if key is None else {**told, "Authorization": f"Bearer {key}"}


def arguments(call: Call[Any], timeout: float) -> dict[str, Any]:
    """Arguments of httpx's `request` for one call.

    Args:
        call: what is asked.
        timeout: the client's own, seconds.
    """
    sent = {"method": call.method, "url": call.path, "json": call.body, "headers": {"Accept": call.media_type}}
    if call.patience is None:
        return sent
    return {**sent, "timeout": httpx.Timeout(timeout, read=max(call.patience, timeout))}


def received(url: str, call: Call[Reply], reply: httpx.Response) -> Reply:
    """The reply's value.

    Raises:
        ServiceError: it is a problem, or no answer of this service at all.
    """
    if reply.is_success and _media_type(reply) in ("", call.media_type):
        try:
            return call.read(reply.content)
        except ValueError as error:
            raise ServiceError(
                f"{call.method} {call.path} at {url}: {reply.status_code}, and the reply is not one of this version's "
                f"service ({_faults(error)}). Is that `recsys serve`, and as new as this client?",
                reply.status_code,
            ) from error
    problem = _problem(reply)
    detail = problem.get("detail") or reply.text[:_SHOWN]
    raise ServiceError(
        f"{call.method} {call.path} at {url}: {reply.status_code} {detail}",
        reply.status_code,
        problem,
        _seconds(reply.headers.get("Retry-After")),
    )


def _problem(reply: httpx.Response) -> Mapping[str, Any]:
    """The problem document; empty where it is none."""
    try:
        answer = reply.json()
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _media_type(reply: httpx.Response) -> str:
    return str(reply.headers.get("Content-Type", "")).partition(";")[0].strip().lower()


def _faults(error: ValueError) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    return ", ".join(".".join(map(str, fault["loc"])) or fault["msg"] for fault in error.errors()[:_FAULTS_SHOWN])


def unanswered(url: str, error: httpx.HTTPError) -> ServiceError:
    """The error for no answer at all."""
    return ServiceError(f"{url} does not answer ({type(error).__name__}: {error}). Is `recsys serve` running there?")


def _is_passing(error: BaseException) -> bool:
    return isinstance(error, ServiceError) and error.status in _PASSING


def _has_ended(error: BaseException) -> bool:
    """Whether it is worth trying again and what was sent is certainly not under way any longer."""
    gave_up = isinstance(error.__cause__, httpx.ReadTimeout) or getattr(error, "status", 0) == _GATEWAY_TIMEOUT
    return _is_passing(error) and not gave_up


def _seconds(text: str | None) -> float | None:
    """Retry-After as a number; the service never writes it as a date."""
    return float(text) if text is not None and text.isdigit() else None
