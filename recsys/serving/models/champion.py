"""Follows the champion: loads it, keeps it, and swaps it when the registry names another one."""

from __future__ import annotations

import logging
from collections.abc import Callable

from recsys.errors import RecsysError
from recsys.serving.models.following import VersionSource
from recsys.serving.ports import NoChampionError, ServedModel

_log = logging.getLogger(__name__)


class ChampionSource(VersionSource):
    """The champion as of a few seconds ago; one that cannot be loaded leaves the one before in its place.

    Args:
        named: the version that the registry calls champion, cheap to ask; raises a RecsysError when it cannot say.
        load: verifies the champion and makes it ready to answer, warm-up included; raises a RecsysError.
        every_seconds: how often `named` is asked.
        stamp: something, cheap to look at, that is another one after each move; `named` is asked at once then.
        look_seconds: how often the stamp is looked at.
        stagger_seconds: how long it may wait after a move, where several processes follow.
    """

    def __init__(
        self,
        named: Callable[[], str | None],
        load: Callable[[], ServedModel],
        *,
        every_seconds: float = 5.0,
        stamp: Callable[[], object] = lambda: None,
        look_seconds: float = 0.1,
        stagger_seconds: float = 0.0,
    ) -> None:
        super().__init__(
            "champion", stamp, every_seconds=every_seconds, look_seconds=look_seconds, stagger_seconds=stagger_seconds
        )
        self._named = named
        self._load = load

    def current(self) -> ServedModel:
        """Raises: NoChampionError when none could be loaded so far."""
        model = self._model
        if model is None:
            raise NoChampionError(self._trouble)
        return model

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
