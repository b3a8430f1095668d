"""The catalogue's items as its files are now: every process of a workspace sees a change at its next request."""

from __future__ import annotations

import logging
import os
import threading

from recsys.data.availability import unavailable_items
from recsys.data.catalogue import Catalogue
from recsys.errors import RecsysError
from recsys.serving.folder.items import Items
from recsys.workspace import Workspace

_log = logging.getLogger(__name__)


class LiveItems:
    """Reads the items again when one of their files is another one; looking costs a few microseconds.

    Args:
        workspace: whose catalogue.

    Raises:
        ConfigError: the workspace's schema cannot be read.
        DataError: its catalogue cannot be read.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._files = (str(workspace.items_file), str(workspace.unavailable_file))
        self._lock = threading.Lock()
        self._stamp = self._look()
        self._items = self._read()

    def current(self) -> Items:
        """The items now; those of before while they cannot be read."""
        stamp = self._look()
        if stamp != self._stamp:
            with self._lock:
                if stamp != self._stamp:
                    self._follow(stamp)
        return self._items

    def _follow(self, stamp: object) -> None:
        try:
            self._items = self._read()
        except RecsysError as error:
            _log.warning("the catalogue of before stays in use: %s", error)
        self._stamp = stamp

    def _look(self) -> object:
        return [_file_stamp(path) for path in self._files]

    def _read(self) -> Items:
        catalogue = Catalogue.load_items(self._workspace)
        return Items(catalogue.items, catalogue.schema, unavailable_items(self._workspace))


def _file_stamp(path: str) -> tuple[int, int, int] | None:
    """Another value after each change: files are replaced, never written into."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
