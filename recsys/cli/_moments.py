"""Moments as people type them on the command line. It knows nothing of what they are for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from recsys.errors import ConfigError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def typed_moment(option: str, text: str) -> int:
    """A moment in ISO 8601, UTC where it names no zone.

    Args:
        option: which option it was given to, for the message.
        text: such as 1998-04-01, 1998-04-01T00:00:00Z or 1998-04-01T02:00:00+02:00.

    Returns:
        Microseconds since 1970.

    Raises:
        ConfigError: it is no moment.
    """
    try:
        moment = datetime.fromisoformat(text)
        aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        return (aware.astimezone(UTC) - _EPOCH) // timedelta(microseconds=1)
    except (ValueError, OverflowError):
        raise ConfigError(f"{option} {text} is no moment; write it like 1998-04-01T00:00:00Z.") from None
