"""The job that compares champion and challenger on live users: impressions of a split, and what came of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import polars as pl

from recsys.columns import ARM, CHALLENGER_VERSION, CHAMPION_VERSION, PROPENSITY, SHOWN_AT
from recsys.data.schema import WorkspaceSchema
from recsys.errors import ConfigError
from recsys.evaluation.attribution import with_outcomes
from recsys.evaluation.experiment import judge_experiment
from recsys.evaluation.experiment_report import ExperimentReport
from recsys.events.impressions import ImpressionLog
from recsys.events.outcomes import Outcomes
from recsys.jobs.delete_users import finish_deletions
from recsys.workspace import Workspace

DEFAULT_WITHIN_HOURS = 24.0
DEFAULT_DETECT = 0.1
_HOUR = 3_600_000_000
_DECIMALS = 9
_SHARE = "share"


@dataclass(frozen=True, slots=True)
class Compared:
    """One experiment and what it says.

    Attributes:
        workspace: name of the workspace.
        champion_version: the version of most users.
        challenger_version: the version of the others.
        share: of the users, who had the challenger.
        first_at: when the first reply of it was given, ISO 8601, UTC.
        last_at: when the last one was.
        within_hours: how long after a reply an event counts as its outcome.
        detect: the smallest difference that matters, as a share of the champion's figure.
        left_out: replies of the same versions under another share, which are not compared.
        report: what it says.
    """

    workspace: str
    champion_version: str
    challenger_version: str
    share: float
    first_at: str
    last_at: str
    within_hours: float
    detect: float
    left_out: int
    report: ExperimentReport

    def as_dict(self) -> dict[str, object]:
        """Plain values, for --json."""
        return asdict(self) | {"report": self.report.as_dict()}


def compare(
    workspace: Workspace,
    *,
    champion: str | None = None,
    challenger: str | None = None,
    within_hours: float = DEFAULT_WITHIN_HOURS,
    detect: float = DEFAULT_DETECT,
) -> Compared:
    """Compares the two versions of an experiment.

    Args:
        workspace: an existing workspace.
        champion: its version; None: of the newest experiment.
        challenger: its version; None: of the newest experiment.
        within_hours: how long after a reply an event counts as its outcome.
        detect: the smallest difference that matters, as a share of the champion's figure.

    Raises:
        ConfigError: there was no such experiment, or a number makes no sense.
        UnbalancedSplitError: the arms do not hold the users that they should.
    """
    if not within_hours > 0 or not detect > 0:
        raise ConfigError(f"{within_hours:g} hours and a difference of {detect:g}: both must be above 0.")
    finish_deletions(workspace)
    shown = ImpressionLog.of(workspace).read()
    experiment = _experiment(workspace, shown, champion, challenger)
    newest = experiment.row(-1, named=True)
    compared = experiment.filter(pl.col(_SHARE) == newest[_SHARE])
    first, last = compared[SHOWN_AT].min(), compared[SHOWN_AT].max()
    assert isinstance(first, int)
    assert isinstance(last, int)
    within = int(within_hours * _HOUR)
    with_all = with_outcomes(
        shown.filter(pl.col(SHOWN_AT).is_between(first, last + within)),
        Outcomes(workspace.event_log).since(first),
        WorkspaceSchema.load(workspace.schema_file).events,
        within,
    )
    pair = (newest[CHAMPION_VERSION], newest[CHALLENGER_VERSION])
    own = _of(with_all, *pair).filter(_share() == newest[_SHARE])
    return Compared(
        workspace=workspace.name,
        champion_version=pair[0],
        challenger_version=pair[1],
        share=newest[_SHARE],
        first_at=_told(first),
        last_at=_told(last),
        within_hours=within_hours,
        detect=detect,
        left_out=experiment.height - compared.height,
        report=judge_experiment(own, share=newest[_SHARE], detect=detect),
    )


def _experiment(
    workspace: Workspace, shown: pl.DataFrame, champion: str | None, challenger: str | None
) -> pl.DataFrame:
    """The impressions of one pair of versions, with the share of the challenger; the newest pair of those asked for."""
    split = shown.filter(pl.col(ARM).is_not_null())
    for column, version in ((CHAMPION_VERSION, champion), (CHALLENGER_VERSION, challenger)):
        split = split if version is None else split.filter(pl.col(column) == version)
    if split.is_empty():
        asked = "" if champion is None and challenger is None else f" of these versions ({champion}, {challenger})"
        raise ConfigError(
            f"No reply of '{workspace.name}' was part of an experiment{asked}. Name a challenger and split the users: "
            f"recsys models challenge --version N --workspace {workspace.name}, "
            f"recsys serve --split 0.1 --workspace {workspace.name}"
        )
    newest = split.row(-1, named=True)
    return _of(split, newest[CHAMPION_VERSION], newest[CHALLENGER_VERSION]).with_columns(_share().alias(_SHARE))


def _of(shown: pl.DataFrame, champion: str, challenger: str) -> pl.DataFrame:
    """Of one pair of versions."""
    pair = (pl.col(CHAMPION_VERSION) == champion) & (pl.col(CHALLENGER_VERSION) == challenger)
    return shown.filter(pair)


def _share() -> pl.Expr:
    """The challenger's share, which both arms' propensities tell."""
    of_challenger = pl.when(pl.col(ARM) == "challenger").then(PROPENSITY).otherwise(1 - pl.col(PROPENSITY))
    return of_challenger.round(_DECIMALS)


def _told(moment: int) -> str:
    return datetime.fromtimestamp(moment / 1_000_000, UTC).isoformat(timespec="seconds")
