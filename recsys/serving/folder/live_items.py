"""The catalogue's items as its files are now: every process of a workspace sees a change at its next request."""

from __future__ import annotations

from collections.abc import Callable

from recsys.data.availability import unavailable_items
from recsys.data.catalogue import Catalogue
from recsys.serving.folder.followed import Followed
from recsys.serving.folder.items import Described, Items
from recsys.workspace import Workspace


def nothing_else() -> None:
    """Nobody else reads the items."""


class LiveItems:
    """Follows two files apart: where availability alone changes, the items themselves are not read again.

    Args:
        workspace: whose catalogue.
        others_follow: has whoever else reads the items' file do so, in the same thread and before the items count as
            those of now.

    Raises:
        ConfigError: the workspace's schema cannot be read.
        DataError: its catalogue cannot be read.
    """

    def __init__(self, workspace: Workspace, others_follow: Callable[[], None] = nothing_else) -> None:
        self._workspace = workspace
        self._others_follow = others_follow
        self._described = Followed(workspace.items_file, self._described_now)
        self._unavailable = Followed(workspace.unavailable_file, lambda: unavailable_items(workspace))

    def current(self) -> Items:
        """The items now; those of before while they cannot be read."""
        return Items(self._described.current(), self._unavailable.current())

    def at_hand(self) -> Items | None:
        """The items now, if nothing of them has to be read."""
        if not (self._described.is_current() and self._unavailable.is_current()):
            return None
        return Items(self._described.last(), self._unavailable.last())

    def _described_now(self) -> Described:
        catalogue = Catalogue.load_items(self._workspace)
        described = Described(catalogue.items, catalogue.schema)
        _ = described.titles  # now, and not in the first request that names one
        self._others_follow()
        return described
