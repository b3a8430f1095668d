"""What Tune tells the driver, as outcomes. Imports Ray, so it is imported when a search begins."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ray.tune import Callback

from recsys.tuning.outcomes import Outcome
from recsys.tuning.sampling import decoded
from recsys.tuning.space import SearchSpace
from recsys.tuning.trial import Judgement

EPOCH, FIGURES = "epoch", "figures"
"""Names in what trials report, beside the figure that they are judged by."""


class Listener(Callback):
    """Keeps an outcome for each trial.

    Args:
        space: what the trials change.
        on_outcome: told each trial that ended by itself.
    """

    def __init__(self, space: SearchSpace, on_outcome: Callable[[Outcome], None]) -> None:
        self._space, self._on_outcome = space, on_outcome
        self._outcomes: dict[str, Outcome] = {}
        self._began: dict[str, float] = {}

    def __getstate__(self) -> dict[str, object]:
        """Nothing: Tune pickles callbacks for searches that are taken up again, and ours never is."""
        return {}

    @property
    def outcomes(self) -> list[Outcome]:
        """Of every trial that began, in the order in which they were chosen."""
        return sorted(self._outcomes.values(), key=lambda outcome: outcome.number)

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """It begins."""
        self._outcome(trial, trials)

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Its body or its model was judged."""
        self._outcome(trial, trials).add(Judgement(result.get(EPOCH), result[FIGURES]))

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """It is through, or ASHA stopped it."""
        outcome = self._outcome(trial, trials)
        if outcome.state != "finished":
            outcome.state = "stopped early"
        self._on_outcome(outcome)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """It raised, or its process is gone."""
        outcome = self._outcome(trial, trials)
        outcome.state, outcome.why = "failed", _why(trial.error_file)
        self._on_outcome(outcome)

    def _outcome(self, trial: Any, trials: list[Any]) -> Outcome:
        """A trial's, made when it is first heard of: which of two that begin together that is, is chance."""
        if trial.trial_id not in self._outcomes:
            self._outcomes[trial.trial_id] = Outcome(trials.index(trial), decoded(trial.config, self._space))
            self._began[trial.trial_id] = time.monotonic()
        found = self._outcomes[trial.trial_id]
        found.seconds = round(time.monotonic() - self._began[trial.trial_id], 2)
        return found


def _why(error_file: str | None) -> str:
    """The last line of what Tune wrote down, without the error's class."""
    lines = Path(error_file).read_text().strip().splitlines() if error_file else []
    return lines[-1].partition("Error: ")[2] or lines[-1] if lines else "no reason told"
