"""What version of the features a model reads and a store holds: names, order and types of a row, and its meaning.

A version is named by its hash. It knows neither Feast nor models.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from recsys.errors import ConfigError

SERVICE_PREFIX = "user_context_v"
ITEM_SERVICE = "item_features_service"
_DIGITS = 12


def is_context_service(name: str) -> bool:
    """Whether a Feast service of that name holds user contexts."""
    return name.startswith(SERVICE_PREFIX)


def is_item_service(name: str) -> bool:
    """Whether a Feast service of that name holds items' rows."""
    return name.startswith(f"{ITEM_SERVICE}_")


def digits_of(service: str) -> str:
    """The version in a service's name, of users or of items; a text without one stays as it is."""
    return service.removeprefix(SERVICE_PREFIX).removeprefix(f"{ITEM_SERVICE}_")


@dataclass(frozen=True, slots=True)
class FeatureSchema:
    """One version of the feature rows.

    Attributes:
        layout: number of the fold's layout: it grows when a column's content is computed in another way.
        columns: name and type of every column of a row, in order.
        meaning: what the workspace's schema says of the content (`WorkspaceSchema.feature_meaning`).
    """

    layout: int
    columns: tuple[tuple[str, str], ...]
    meaning: Mapping[str, object]

    @property
    def sha256(self) -> str:
        """SHA-256 (hex) of all of it."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    @property
    def version(self) -> str:
        """The short name of this version: twelve digits of its hash."""
        return self.sha256[:_DIGITS]

    @property
    def service(self) -> str:
        """The Feast service whose rows have this shape: another shape is another name."""
        return SERVICE_PREFIX + self.version

    def named(self, name: str) -> str:
        """What a view or source of this version is called: versions live side by side."""
        return f"{name}_{self.version}"

    def to_json(self) -> str:
        """One text for one version."""
        return json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))

    def to_dict(self) -> dict[str, object]:
        """Plain values."""
        columns = [list(column) for column in self.columns]
        return {"layout": self.layout, "columns": columns, "meaning": dict(self.meaning)}

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads what `to_json` wrote.

        Raises:
            ConfigError: it is another text.
        """
        try:
            return cls.from_dict(json.loads(text))
        except json.JSONDecodeError as error:
            raise ConfigError(f"This is no description of feature rows as recsys writes it: {error}.") from error

    @classmethod
    def from_dict(cls, plain: object) -> Self:
        """Reads what `to_dict` wrote.

        Raises:
            ConfigError: these are other values.
        """
        try:
            assert isinstance(plain, dict)
            columns = tuple((str(name), str(dtype)) for name, dtype in plain["columns"])
            return cls(layout=int(plain["layout"]), columns=columns, meaning=dict(plain["meaning"]))
        except (AssertionError, KeyError, TypeError, ValueError) as error:
            raise ConfigError(f"This is no description of feature rows as recsys writes it: {error!r}.") from error

    def changes_to(self, other: FeatureSchema) -> tuple[str, ...]:
        """What is different in another version, one sentence each; empty when it is the same."""
        mine, theirs = dict(self.columns), dict(other.columns)
        changes = [f"column '{name}' ({mine[name]}) is gone" for name in mine if name not in theirs]
        changes += [f"column '{name}' ({theirs[name]}) is new" for name in theirs if name not in mine]
        both = [name for name in mine if name in theirs]
        changes += [
            f"column '{name}' was {mine[name]} and is {theirs[name]}" for name in both if mine[name] != theirs[name]
        ]
        if both != [name for name in theirs if name in mine]:
            changes.append(f"the order of the columns is {', '.join(theirs)}, it was {', '.join(mine)}")
        if self.layout != other.layout:
            changes.append(f"the fold has layout {other.layout}, it had {self.layout}")
        for name in dict.fromkeys((*self.meaning, *other.meaning)):
            was, now = self.meaning.get(name), other.meaning.get(name)
            if was != now:
                changes.append(f"{name} is {json.dumps(now)}, it was {json.dumps(was)}")
        return tuple(changes)
