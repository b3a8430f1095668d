"""What the service says: one JSON object a line on stderr. No text of a caller's can pass for a line of ours."""

from __future__ import annotations

import logging
import sys
from contextvars import ContextVar

from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.json import JsonFormatter

CURRENT_REQUEST: ContextVar[str | None] = ContextVar("recsys_request", default=None)
"""The id of the request that is being answered, also in the threads that answer it."""

_LEFT_OUT = ("color_message",)


def formatter() -> logging.Formatter:
    """Time (RFC 3339, UTC), level, logger, message, request_id and whatever a record brings along.

    Everything beyond ASCII is escaped, control characters and line separators among it.
    """
    return JsonFormatter(
        "%(levelname)s%(name)s%(message)s",
        timestamp="time",
        rename_fields={"levelname": "level", "name": "logger"},
        reserved_attrs=[*RESERVED_ATTRS, *_LEFT_OUT],
        json_ensure_ascii=True,
    )


class _WithRequest(logging.Filter):
    """Gives a record the id of the request in whose course it was made."""

    def filter(self, record: logging.LogRecord) -> bool:
        known = CURRENT_REQUEST.get()
        if known is not None and not hasattr(record, "request_id"):
            record.request_id = known
        return True


def write_json_lines() -> None:
    """Sends every logger's records to stderr as JSON lines: ours from INFO on, everybody else's from WARNING on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter())
    handler.addFilter(_WithRequest())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("recsys").setLevel(logging.INFO)
    logging.captureWarnings(True)
