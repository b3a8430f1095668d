"""Follows the champion: loads it, keeps it, and swaps it when the registry names another one."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from recsys.errors import RecsysError
from recsys.serving.ports import NoChampionError, ServedModel

_log = logging.getLogger(__name__)


class ChampionSource:
    """The champion as of a few seconds ago; requests never wait for the registry or for loading.

    As a context manager it follows the registry in the background until it is left.

    Args:
        named: the version that the registry calls champion, cheap to ask; raises a RecsysError when it cannot say.
        load: verifies the champion and makes it ready to answer, warm-up included; raises a RecsysError.
        every_seconds: how often `named` is asked.
        stamp: something, cheap to look at, that is another one after each move; `named` is asked at once then.
        look_seconds: how often the stamp is looked at.
    """

    def __init__(
        self,
        named: Callable[[], str | None],
        load: Callable[[], ServedModel],
        *,
        every_seconds: float = 5.0,
        stamp: Callable[[], object] = lambda: None,
        look_seconds: float = 0.1,
    ) -> None:
        self._named = named
        self._load = load
        self._every = every_seconds
        self._stamp = stamp
        self._look = look_seconds
        self._model: ServedModel | None = None
        self._trouble = "The model is being loaded."
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def current(self) -> ServedModel:
        """Raises: NoChampionError when none could be loaded so far."""
        model = self._model
        if model is None:
            raise NoChampionError(self._trouble)
        return model

    def refresh(self) -> bool:
        """Asks the registry once; a champion that cannot be loaded leaves the one before in its place.

        Returns:
            Whether there is a model to answer with now.
        """
        try:
            self._follow_registry()
        except RecsysError as error:
            self._note(str(error))
        except Exception:
            _log.exception("the champion could not be loaded")
            self._note("The champion could not be loaded; the service's log says why.")
        return self._model is not None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._watch, name="champion", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=5.0)

    def _follow_registry(self) -> None:
        serving = self._model
        try:
            named = self._named()
        except RecsysError:
            if serving is not None:
                raise
            named = None  # loading knows the last good local copy
        if serving is not None and named is None:
            return
        if serving is None or serving.version != named or serving.degraded is not None:
            # What was loaded says itself which version it is: the champion may have moved on since it was named.
            model = self._load()
            self._model = model
            if serving is None or serving.version != model.version:
                _log.info("serving model version %s", model.version)

    def _watch(self) -> None:
        asked, seen = time.monotonic(), self._stamp()
        while not self._stop.wait(min(self._look, self._every)):
            stamp = self._stamp()
            if stamp != seen or time.monotonic() - asked >= self._every:
                asked, seen = time.monotonic(), stamp
                self.refresh()

    def _note(self, trouble: str) -> None:
        if trouble != self._trouble:
            _log.warning("no new champion: %s", trouble)
        self._trouble = trouble
