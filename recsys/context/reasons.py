"""Why a context is less than it could be: the short names that rows, replies, reports and docs/your-data.md share."""

from __future__ import annotations

from typing import Final, Literal

Reason = Literal[
    "unknown_user",
    "empty_context",
    "broken_row",
    "future_event",
    "event_before_1970",
    "store_error",
    "store_timeout",
]

UNKNOWN_USER: Final = "unknown_user"
"""Neither the store nor the log knows the user."""
EMPTY_CONTEXT: Final = "empty_context"
"""Nothing that was read or sent means anything to the model."""
BROKEN_ROW: Final = "broken_row"
"""The store holds a row that the fold cannot have made, and the log knows nothing of the user."""
FUTURE_EVENT: Final = "future_event"
"""The log holds events of the user that lie in the future."""
BEFORE_1970: Final = "event_before_1970"
"""The log holds events of the user at or before 1970."""
STORE_ERROR: Final = "store_error"
"""The store could not be read."""
STORE_TIMEOUT: Final = "store_timeout"
"""The store did not answer within its time."""
