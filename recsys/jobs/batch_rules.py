"""Which items a batch may recommend: availability, filters and lists of a business, resolved against the catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from recsys import columns
from recsys.batch.id_files import id_blocks
from recsys.batch.rules import Rules
from recsys.data.availability import unavailable_items
from recsys.data.catalogue import Catalogue
from recsys.data.conditions import Condition, ConditionError, all_of
from recsys.errors import ConfigError, DataError
from recsys.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a business asks for; the same as in a request to the service.

    Attributes:
        conditions: on item columns; an item must meet all.
        exclude_items: a file of item ids to leave out (see `id_blocks`).
        include_only: a file of item ids to choose among.
    """

    conditions: Sequence[Condition] = ()
    exclude_items: Path | None = None
    include_only: Path | None = None

    def resolved(self, workspace: Workspace) -> Rules:
        """The items that they come to now, with what is not available left out.

        Raises:
            ConfigError: a condition does not fit the workspace's item columns.
            DataError: a file cannot be read, or no item of the catalogue meets everything.
        """
        excluded = set(unavailable_items(workspace)) | _listed(self.exclude_items)
        only = None if self.include_only is None else _listed(self.include_only)
        if self.conditions:
            met = self._met(Catalogue.load_items(workspace))
            only = met if only is None else only & met
        if only is not None and not only - excluded:
            raise DataError("No item that is available meets all filters and lists: there is nothing to recommend.")
        return Rules(tuple(sorted(excluded)), None if only is None else tuple(sorted(only)))

    def _met(self, catalogue: Catalogue) -> set[str]:
        try:
            asked = all_of(self.conditions, catalogue.schema)
        except ConditionError as error:
            column = self.conditions[error.number].column
            raise ConfigError(f"The filter on '{column}' cannot be used: {error}") from error
        return set(catalogue.items.filter(asked)[columns.ITEM_ID])


NO_WISHES = Wishes()


def _listed(path: Path | None) -> set[str]:
    return set() if path is None else {item_id for block in id_blocks(path, columns.ITEM_ID) for item_id in block}
