"""Which model answers whom: the champion, or for a share of the users the challenger. Always the same for one user.

The arm follows from a hash, so nothing is stored, every process decides alike, and another pair of versions deals the
users out anew.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from recsys.serving.ports import ModelSource, ServedModel

Arm = Literal["champion", "challenger"]
CHAMPION_ARM: Final = "champion"
CHALLENGER_ARM: Final = "challenger"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Assigned:
    """Who answers a request.

    Attributes:
        model: what answers.
        champion: what answers everybody else, and in place of a challenger that fails.
        arm: which arm the user is in; None when there is no experiment.
        challenger_version: of the experiment.
        propensity: the probability with which the user was given this arm.
    """

    model: ServedModel
    champion: ServedModel
    arm: Arm | None = None
    challenger_version: str | None = None
    propensity: float | None = None

    @property
    def has_substitute(self) -> bool:
        """Whether another model can answer in this one's place."""
        return self.model is not self.champion

    def substituted(self) -> Assigned:
        """The champion in the challenger's place; the user stays in the arm."""
        return replace(self, model=self.champion)


def nobody() -> ServedModel | None:
    """No challenger."""
    return None


@dataclass(slots=True)
class Split:
    """The one decision of who answers.

    Attributes:
        champion: what answers where there is no experiment.
        challenger: the challenger while there is one.
        share: of the users, who get the challenger; 0 to 1.
        substitutions: how often the champion answered in place of a challenger that failed.
    """

    champion: ModelSource
    challenger: Callable[[], ServedModel | None] = nobody
    share: float = 0.0
    substitutions: int = field(default=0, init=False)

    def assigned(self, user_id: str | None, request_id: str) -> Assigned:
        """Who answers this user; a visitor is assigned by the request.

        Raises:
            NoChampionError: there is no model at all.
        """
        champion = self.champion.current()
        challenger = self.challenger() if self.share > 0 else None
        if challenger is None or challenger.version == champion.version:
            return Assigned(champion, champion)
        salt = f"{champion.features.schema.name}:{champion.version}:{challenger.version}"
        if place(salt, request_id if user_id is None else user_id) < self.share:
            return Assigned(challenger, champion, CHALLENGER_ARM, challenger.version, self.share)
        return Assigned(champion, champion, CHAMPION_ARM, challenger.version, 1 - self.share)

    def note_substitution(self, failed: ServedModel, error: Exception) -> None:
        """A challenger could not answer and the champion did; the first time the log says why."""
        self.substitutions += 1
        if self.substitutions == 1:
            _log.warning("challenger %s failed, the champion answered in its place", failed.version, exc_info=error)


def place(salt: str, unit: str) -> float:
    """Where a unit lies between 0 and 1: evenly spread over units, unrelated between salts, the same for ever."""
    digest = hashlib.sha256(f"{salt}\0{unit}".encode()).digest()
    return int.from_bytes(digest[:7], "big") / 2**56
