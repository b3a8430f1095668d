"""The job that searches for settings: trials on Ray Tune, nested runs in MLflow, the best configuration as TOML."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from recsys.durable import replace_file
from recsys.errors import ConfigError, TrainingError
from recsys.registry.client import refuse_unreadable
from recsys.registry.search_runs import SearchRun, search_run
from recsys.training.config import TrainConfig
from recsys.training.config_text import config_text
from recsys.training.dataset import Dataset
from recsys.training.progress import Progress, Silent
from recsys.tuning.outcomes import Outcome, best_of
from recsys.tuning.search import Task, search
from recsys.tuning.space import SearchSpace
from recsys.tuning.trial import JUDGED_BY
from recsys.workspace import Workspace

End = Literal["all trials", "seconds", "interrupted"]


@dataclass(frozen=True, slots=True)
class TuneResult:
    """What a search came to.

    Attributes:
        workspace: its name.
        run_id: MLflow's id of the search's run; its trials are nested in it.
        asked_trials: how many there were to be.
        outcomes: every trial that began, in the order in which they were chosen.
        best: the best of them.
        config: the base configuration with the best one's settings.
        out: where it was written, None: nowhere.
        ended: by what.
        seconds: how long it took, loading included.
    """

    workspace: str
    run_id: str
    asked_trials: int
    outcomes: tuple[Outcome, ...]
    best: Outcome
    config: TrainConfig
    out: Path | None
    ended: End
    seconds: float

    @property
    def toml(self) -> str:
        """The best configuration as `recsys train --config` takes it."""
        return _toml(self.config, self.best, self.workspace, len(self.outcomes), self.seconds)

    def as_dict(self) -> dict[str, object]:
        """Plain values, for --json."""
        return {
            "workspace": self.workspace,
            "run_id": self.run_id,
            "asked_trials": self.asked_trials,
            "trials": [outcome.as_dict() for outcome in self.outcomes],
            "best": self.best.as_dict(),
            "out": None if self.out is None else str(self.out),
            "ended": self.ended,
            "seconds": self.seconds,
            "toml": self.toml,
        }


def tune(
    workspace: Workspace,
    config: TrainConfig,
    space: SearchSpace,
    *,
    trials: int,
    seconds: float | None = None,
    out: Path | None = None,
    progress: Progress | None = None,
) -> TuneResult:
    """Looks for better settings. Fits on training events, judges on validation; nothing is registered.

    Args:
        workspace: an existing workspace with events.
        config: what is searched from; the first trial where it lies in the space.
        space: what may change, and to what.
        trials: how many, at least one.
        seconds: for all, loading included; None: as long as it takes.
        out: written again whenever a trial is better than those before.
        progress: told each trial.

    Raises:
        ConfigError: trials or seconds are no such number, or `out` cannot be written or read as a configuration.
        DataError: too few events.
        TrainingError: no trial came to a figure; the message says why the first one did not.
        RegistryError: MLflow refused something.
    """
    if trials < 1 or (seconds is not None and seconds <= 0):
        raise ConfigError("A search needs at least one trial and more than 0 seconds.")
    if out is not None:
        _refuse_as_out(out)
    started = time.monotonic()
    refuse_unreadable(workspace)
    dataset = Dataset.load(workspace)
    outcomes: list[Outcome] = []
    stage = (progress or Silent()).stage("trials", trials)
    task = Task(workspace, dataset.log_position, config, space)
    tags = {"kind": "search", "data_fingerprint": dataset.fingerprint(), "log_position": str(dataset.log_position)}
    with search_run(workspace, config.model_dump(mode="json"), tags) as run:

        def took() -> float:
            return round(time.monotonic() - started, 2)

        def take(outcome: Outcome) -> None:
            outcomes.append(outcome)
            _track(run, outcome)
            best = best_of(outcomes)
            stage.advance(_note(outcome, best))
            if best is outcome and out is not None:
                chosen = space.applied(config, best.point)
                _write(out, _toml(chosen, best, workspace.name, len(outcomes), took()))

        left = None if seconds is None else max(seconds - (time.monotonic() - started), 1.0)
        begun = search(task, trials=trials, seconds=left, dataset=dataset, on_outcome=take)
        for outcome in begun:
            if outcome.state == "cut off":
                _track(run, outcome)
        best = best_of(begun)
        if best is None:
            why = next(
                (outcome.why for outcome in begun if outcome.why), "none had judged a body when the search ended"
            )
            raise TrainingError(f"No trial of {len(begun)} came to a figure: {why.rstrip('.')}.")
        result = TuneResult(
            workspace=workspace.name,
            run_id=run.run_id,
            asked_trials=trials,
            outcomes=tuple(begun),
            best=best,
            config=space.applied(config, best.point),
            out=out,
            ended=_end(begun, trials, seconds, took()),
            seconds=took(),
        )
        if out is not None:
            _write(out, result.toml)
        run.log_result(_figures(best), {"ended": result.ended, "best_trial": str(best.number)})
    return result


def _end(begun: list[Outcome], trials: int, seconds: float | None, took: float) -> End:
    if len(begun) == trials and all(outcome.state != "cut off" for outcome in begun):
        return "all trials"
    return "seconds" if seconds is not None and took >= seconds else "interrupted"


def _track(run: SearchRun, outcome: Outcome) -> None:
    run.log_trial(
        f"trial {outcome.number}",
        params=outcome.point,
        metrics=_figures(outcome),
        curves={f"validation.body_{JUDGED_BY}": outcome.body_curve},
        tags={"state": outcome.state} | ({"why": outcome.why} if outcome.why else {}),
        seconds=outcome.seconds,
        failed=outcome.state == "failed",
    )


def _figures(outcome: Outcome) -> dict[str, float]:
    return {f"validation.{name}": value for name, value in outcome.figures.items()}


def _note(outcome: Outcome, best: Outcome | None) -> str:
    own = outcome.state if outcome.value is None else f"{outcome.value:.4f} {outcome.state}"
    return own if best is None or best.value is None else f"{own} (best {best.value:.4f}, trial {best.number})"


def _toml(config: TrainConfig, best: Outcome, workspace: str, trials: int, seconds: float) -> str:
    judged = "the whole model" if best.figures else f"its body after {len(best.body_curve)} epochs"
    return config_text(
        config,
        [
            f"The best of {trials} trials on {workspace} within {seconds:.0f} s: trial {best.number}.",
            f"Validation NDCG@10 of {judged}: {best.value:.4f}.",
            *(f"  {name} = {value}" for name, value in best.point.items()),
        ],
    )


def _refuse_as_out(out: Path) -> None:
    """Before any trial, rather than after the first."""
    if out.suffix != ".toml":
        raise ConfigError(f"--out {out} must end in .toml: recsys train --config knows a file by that.")
    folder = next(folder for folder in out.absolute().parents if folder.exists())
    if out.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise ConfigError(f"{out} cannot be written. Give --out another file.")


def _write(out: Path, text: str) -> None:
    try:
        replace_file(out, text.encode())
    except OSError as error:
        raise ConfigError(f"{out} cannot be written ({error.strerror}). Give --out another file.") from error
