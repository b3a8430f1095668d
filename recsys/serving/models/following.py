"""Follows an alias of the registry in the background, so that no request ever waits for the registry or for loading."""

from __future__ import annotations

import logging
import random
import time
from abc import abstractmethod
from collections.abc import Callable

from recsys.errors import RecsysError
from recsys.serving.background import Background
from recsys.serving.ports import ServedModel

STAGGER_SECONDS = 2.0
"""Where several processes serve, they load a new model up to so long after each other."""
_log = logging.getLogger(__name__)


class VersionSource(Background):
    """What an alias named a few seconds ago. As a context manager it follows the registry until it is left.

    Args:
        alias: the alias, for messages.
        stamp: something, cheap to look at, that is another one after each move; the registry is asked at once then.
        every_seconds: how often the registry is asked.
        look_seconds: how often the stamp is looked at.
        stagger_seconds: after a move it waits a random time, this long at most: not every process loads at once.
    """

    def __init__(
        self,
        alias: str,
        stamp: Callable[[], object],
        *,
        every_seconds: float = 5.0,
        look_seconds: float = 0.1,
        stagger_seconds: float = 0.0,
    ) -> None:
        super().__init__(alias)
        self._alias = alias
        self._stamp = stamp
        self._every = every_seconds
        self._look = look_seconds
        self._stagger = stagger_seconds
        self._model: ServedModel | None = None
        self._trouble = "The model is being loaded."

    @property
    def model(self) -> ServedModel | None:
        """What is served under the alias now; None when there is none, or none that could be loaded."""
        return self._model

    @abstractmethod
    def _follow_registry(self) -> None:
        """Asks the registry once and sets the model; what it raises is noted."""

    def refresh(self) -> bool:
        """Asks the registry once; nothing is raised.

        Returns:
            Whether there is a model now.
        """
        try:
            self._follow_registry()
        except RecsysError as error:
            self._note(str(error))
        except Exception:
            _log.exception("the %s could not be loaded", self._alias)
            self._note(f"The {self._alias} could not be loaded; the service's log says why.")
        return self._model is not None

    def _work(self) -> None:
        asked, seen = time.monotonic(), self._stamp()
        while not self._leaving.wait(min(self._look, self._every)):
            stamp = self._stamp()
            if stamp != seen and self._leaving.wait(random.uniform(0, self._stagger)):
                return
            if stamp != seen or time.monotonic() - asked >= self._every:
                asked, seen = time.monotonic(), stamp
                self.refresh()

    def _note(self, trouble: str) -> None:
        if trouble != self._trouble:
            _log.warning("no new %s: %s", self._alias, trouble)
        self._trouble = trouble
