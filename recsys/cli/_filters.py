"""Filters as people type them on the command line: the JSON that the service takes. It knows nothing of catalogues."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from recsys.errors import ConfigError

if TYPE_CHECKING:
    from recsys.data.conditions import Condition


def typed_filters(texts: Sequence[str]) -> list[Condition]:
    """Conditions out of JSON objects such as {"column": "year", "op": ">=", "value": 1990}.

    Raises:
        ConfigError: one of them is no such object.
    """
    from pydantic import ValidationError

    from recsys.serving.messages.requests import Filter

    found: list[Condition] = []
    for text in texts:
        try:
            found.append(Filter.model_validate_json(text).condition())
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise ConfigError(
                f"--filter {text} is no filter ({where + ': ' if where else ''}{first['msg']}). "
                """Write it like '{"column": "year", "op": ">=", "value": 1990}'."""
            ) from None
    return found
