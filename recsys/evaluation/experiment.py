"""What an experiment on live users says: two arms, compared over users, with a verdict only where it can be one.

It knows impressions with their outcomes, not where they are kept.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from recsys.columns import ARM, CHAMPION_VERSION, MODEL_VERSION, RANK, REQUEST_ID, USER_ID
from recsys.errors import RecsysError
from recsys.evaluation.attribution import NAMED
from recsys.evaluation.experiment_report import ArmSummary, ExperimentReport, MetricComparison, Verdict
from recsys.evaluation.independent import Sums, compare_independent, imbalance, users_needed
from recsys.evaluation.significance import holm

ARMS = ("champion", "challenger")
MINIMUM_USERS = 100
MINIMUM_TAKERS = 20
"""Of users who took anything, in each arm if both took alike: with fewer, an arm without any looks certain."""
LEVEL = 0.05
_BALANCE_LEVEL = 0.001
_FINDINGS: tuple[Verdict, ...] = ("better", "worse")
_UNIT, _SHOWN, _TAKEN, _RECIPROCAL, _OWN = "unit", "shown", "taken", "reciprocal", "own"
_METRICS = {
    "click_through": (_TAKEN, _SHOWN),
    "reciprocal_rank": (_RECIPROCAL, _SHOWN),
    "user_click_through": (_OWN, None),
}


class UnbalancedSplitError(RecsysError):
    """The arms do not hold the users that they should: whatever the figures say, something else differs as well."""


def judge_experiment(impressions: pl.DataFrame, *, share: float, detect: float = 0.1) -> ExperimentReport:
    """Compares the arms of one experiment.

    Args:
        impressions: of this experiment alone, as `with_outcomes` returns them.
        share: of the users who were given the challenger, the same all the time.
        detect: the smallest difference that matters, as a share of the champion's figure.

    Raises:
        UnbalancedSplitError: the numbers of users in the arms do not fit the share.
    """
    units = _per_unit(impressions)
    arms = tuple(_summary(impressions, units, arm) for arm in ARMS)
    balance = imbalance((arms[0].users, arms[1].users), share)
    if balance < _BALANCE_LEVEL:
        raise UnbalancedSplitError(_unbalanced(arms, share, balance))
    metrics: tuple[MetricComparison, ...] = ()
    if min(arm.users for arm in arms) > 1:
        metrics = _metrics(units, share=share, detect=detect, enough=_enough(units))
    return ExperimentReport((arms[0], arms[1]), metrics, balance, _together(metrics))


def _per_unit(impressions: pl.DataFrame) -> pl.DataFrame:
    """One row a user or visitor's request: arm, visitor, replies, and what came of them."""
    unit = pl.struct(USER_ID, pl.when(pl.col(USER_ID).is_null()).then(REQUEST_ID).alias(REQUEST_ID)).alias(_UNIT)
    taken = pl.col(RANK).is_not_null()
    return (
        impressions.group_by(ARM, unit)
        .agg(
            pl.len().cast(pl.Float64).alias(_SHOWN),
            taken.sum().cast(pl.Float64).alias(_TAKEN),
            (1 / pl.col(RANK)).fill_null(0.0).sum().alias(_RECIPROCAL),
        )
        .with_columns((pl.col(_TAKEN) / pl.col(_SHOWN)).alias(_OWN))
    )


def _summary(impressions: pl.DataFrame, units: pl.DataFrame, arm: str) -> ArmSummary:
    own, shown = units.filter(pl.col(ARM) == arm), impressions.filter(pl.col(ARM) == arm)
    stood_in = (pl.col(MODEL_VERSION) == pl.col(CHAMPION_VERSION)) if arm == "challenger" else pl.lit(False)
    return ArmSummary(
        arm=arm,
        users=own.height,
        visitors=own[_UNIT].struct.field(USER_ID).null_count(),
        impressions=shown.height,
        taken=shown.height - shown[RANK].null_count(),
        named=int(shown[NAMED].sum() or 0),
        substituted=shown.filter(stood_in).height,
    )


def _enough(units: pl.DataFrame) -> bool:
    smaller = min(units.filter(pl.col(ARM) == arm).height for arm in ARMS)
    takers = units.filter(pl.col(_TAKEN) > 0).height
    return smaller >= MINIMUM_USERS and takers * smaller / units.height >= MINIMUM_TAKERS


def _metrics(units: pl.DataFrame, *, share: float, detect: float, enough: bool) -> tuple[MetricComparison, ...]:
    sums = {name: (_sums(units, "champion", *of), _sums(units, "challenger", *of)) for name, of in _METRICS.items()}
    found = {name: compare_independent(a, b) for name, (a, b) in sums.items()}
    adjusted = holm({name: one.p_value for name, one in found.items()})
    compared = []
    for name, one in found.items():
        matters = detect * one.figure_a
        seen = enough and adjusted[name] <= LEVEL
        verdict: Verdict = "too_little_data"
        if seen:
            verdict = "better" if one.difference > 0 else "worse"
        elif enough and max(-one.low, one.high) <= matters:
            verdict = "no_difference"
        compared.append(
            MetricComparison(
                metric=name,
                champion=one.figure_a,
                challenger=one.figure_b,
                difference=one.difference,
                low=one.low,
                high=one.high,
                p_value=adjusted[name],
                verdict=verdict,
                users_needed=users_needed(*sums[name], matters, share=share, level=LEVEL / len(sums)),
            )
        )
    return tuple(compared)


def _sums(units: pl.DataFrame, arm: str, numerator: str, denominator: str | None) -> Sums:
    own = units.filter(pl.col(ARM) == arm)
    below = np.ones(own.height) if denominator is None else own[denominator].to_numpy()
    return Sums(own[numerator].to_numpy(), below)


def _together(metrics: tuple[MetricComparison, ...]) -> Verdict:
    said = {metric.verdict for metric in metrics}
    if {"better", "worse"} <= said:
        return "mixed"
    for verdict in _FINDINGS:
        if verdict in said:
            return verdict
    return "no_difference" if said == {"no_difference"} else "too_little_data"


def _unbalanced(arms: tuple[ArmSummary, ...], share: float, balance: float) -> str:
    users = sum(arm.users for arm in arms)
    return (
        f"The split did not balance: {arms[1].users:,} of {users:,} users had the challenger, {share * users:,.0f} "
        f"were expected (p = {balance:.1g}). Something but the model decides who is in which arm or whose replies are "
        "recorded: dropped impressions, requests that only one arm sends again, bots. Figures would mislead and are "
        "not shown. Look at the service's log and GET /v1/model, and begin a new experiment."
    )
