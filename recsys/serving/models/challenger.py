"""Follows the challenger: there is exactly the one that the registry names, or none."""

from __future__ import annotations

import logging
from collections.abc import Callable

from recsys.serving.models.following import VersionSource
from recsys.serving.ports import ServedModel

_log = logging.getLogger(__name__)


class ChallengerSource(VersionSource):
    """The challenger as of a few seconds ago. One that cannot be loaded is none; no former one stands in for it.

    While the registry cannot be asked, what was loaded stays: an experiment does not end because of that.

    Args:
        named: the version that the registry calls challenger, None when none; raises a RecsysError when it cannot say.
        load: verifies that version and makes it ready to answer; raises a RecsysError.
        every_seconds: how often `named` is asked.
        stamp: something, cheap to look at, that is another one after each move; `named` is asked at once then.
        stagger_seconds: how long it may wait after a move, where several processes follow.
    """

    def __init__(
        self,
        named: Callable[[], str | None],
        load: Callable[[str], ServedModel],
        *,
        every_seconds: float = 5.0,
        stamp: Callable[[], object] = lambda: None,
        stagger_seconds: float = 0.0,
    ) -> None:
        super().__init__("challenger", stamp, every_seconds=every_seconds, stagger_seconds=stagger_seconds)
        self._named = named
        self._load = load

    def _follow_registry(self) -> None:
        named, tried = self._named(), self._model
        if tried is not None and tried.version == named:
            return
        self._model = None
        if named is not None:
            self._model = self._load(named)
            _log.info("challenger is model version %s", named)
