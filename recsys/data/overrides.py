"""The small TOML with which people override what the importer infers (`--schema FILE`).

Keys, all optional: repeats, baskets, title, [events] positive, negative, min_value, [events.weights], and [users] and
[items] with a column's type: categorical, numeric, list, text, or "ignore" to leave it out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from recsys.data.schema import EventMeaning
from recsys.data.schema_toml import event_meaning, read_toml, schema_problems
from recsys.errors import ConfigError

IGNORE = "ignore"


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the user says about the data; None or empty where nothing is said."""

    file: str = "--schema"
    repeats: bool | None = None
    baskets: bool | None = None
    title: str | None = None
    clock: bool | None = None
    events: EventMeaning | None = None
    users: Mapping[str, str] = field(default_factory=dict)
    items: Mapping[str, str] = field(default_factory=dict)


def read_overrides(path: Path | None) -> Overrides:
    """The overrides in a file; none without a file. A whole `workspace.toml` works too.

    Raises:
        ConfigError: the file is missing or wrong; everything wrong with it is listed.
    """
    if path is None:
        return Overrides()
    content = read_toml(path)
    problems = schema_problems(content, extra_column_types=(IGNORE,))
    if problems:
        raise ConfigError(f"The schema file {path} is wrong: {'; '.join(problems)}.")
    events = cast(Mapping[str, object] | None, content.get("events"))
    return Overrides(
        file=path.name,
        repeats=cast(bool | None, content.get("repeats")),
        baskets=cast(bool | None, content.get("baskets")),
        title=cast(str | None, content.get("title")),
        clock=cast(bool | None, content.get("clock")),
        events=None if events is None else event_meaning(events),
        users=cast(Mapping[str, str], content.get("users", {})),
        items=cast(Mapping[str, str], content.get("items", {})),
    )
