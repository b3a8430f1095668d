"""The rules of the promotion policy: figures of a trial in, findings out. They know no registry and no model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from recsys.evaluation.significance import PairedComparison, compare_paired, holm
from recsys.metrics.calibration import error_of_chance, expected_calibration_error
from recsys.registry.policy import LOG_LOSS, CalibrationPolicy, GroupPolicy, LatencyPolicy, QualityPolicy
from recsys.registry.trial import Trial


@dataclass(frozen=True, slots=True)
class Finding:
    """What one rule says.

    Attributes:
        rule: its section in the policy.
        passed: whether it lets the version through.
        said: one or more sentences with the figures.
    """

    rule: str
    passed: bool
    said: str

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


def quality(policy: QualityPolicy, trial: Trial, *, newer: bool) -> Finding:
    """Non-inferior in every figure, and superior in one where that is asked for.

    Args:
        policy: margins and confidence.
        trial: both versions' figures.
        newer: whether the candidate knows newer events than the champion.
    """
    found_by_name = {name: _compare(trial, name, policy.confidence) for name in policy.margins}
    compared = {name: found for name, found in found_by_name.items() if found is not None}
    silent = [name for name in found_by_name if name not in compared]
    if silent:
        return Finding("quality", False, f"Fewer than two users can be compared in {', '.join(silent)}.")
    worst = {name: -policy.margins[name] * abs(found.mean_b) for name, found in compared.items()}
    inferior = [name for name, found in compared.items() if found.low < worst[name]]
    adjusted = holm({name: found.p_value for name, found in compared.items()})
    superior = [
        name for name, found in compared.items() if found.difference > 0 and adjusted[name] <= 1 - policy.confidence
    ]
    wanted = policy.superiority == "always" or (policy.superiority == "unless_newer" and not newer)
    said = [
        f"{name} {abs(found.mean_a):.4f} against {abs(found.mean_b):.4f}, better by {found.difference:+.4f} "
        f"[{found.low:+.4f}, {found.high:+.4f}], at least {worst[name]:+.4f} asked"
        for name, found in compared.items()
    ]
    users = min(found.users for found in compared.values())
    told = f"On {users:,} users ({trial.source}): {'; '.join(said)}."
    if inferior:
        told += f" Inferior, or not shown to be as good: {', '.join(inferior)}."
    if superior:
        told += f" Superior: {', '.join(superior)}."
    elif wanted:
        told += f" No figure is better beyond noise (smallest adjusted p {min(adjusted.values()):.3f})" + (
            ", and it knows no newer events." if policy.superiority == "unless_newer" else "."
        )
    return Finding("quality", not inferior and (bool(superior) or not wanted), told)


def groups(policy: GroupPolicy, trial: Trial, figure: str) -> Finding:
    """No group of enough users is worse beyond noise.

    Args:
        policy: how large a group and which level.
        trial: both versions' figures.
        figure: which figure is compared.
    """
    compared: dict[str, PairedComparison] = {}
    for by, labels in trial.groups.items():
        member = np.array(labels, dtype=object)
        for label in sorted({label for label in labels if label is not None}):
            inside = member == label
            found = _compare(trial, figure, 0.95, inside) if inside.sum() >= policy.minimum_users else None
            if found is not None:
                compared[f"{by} {label}"] = found
    if not compared:
        return Finding("groups", True, f"No group has {policy.minimum_users} users.")
    adjusted = holm({name: found.p_value if found.difference < 0 else 1.0 for name, found in compared.items()})
    harmed = [name for name, p_value in adjusted.items() if p_value <= policy.significance]
    told = [
        f"{name}: {figure} {compared[name].difference:+.4f} on {compared[name].users:,} users, adjusted p "
        f"{adjusted[name]:.4f}"
        for name in (harmed or [min(adjusted, key=lambda name: compared[name].difference)])
    ]
    head = "Worse beyond noise" if harmed else f"None of {len(compared)} groups is worse beyond noise; the lowest is"
    return Finding("groups", not harmed, f"{head}: {'; '.join(told)}.")


def calibration(policy: CalibrationPolicy, trial: Trial) -> Finding:
    """Stated chances of the top 10 come true, as far as so few users can tell, or no worse than the champion's."""
    if not trial.fresh.any():
        return Finding("calibration", True, "Every user's target helped to fit the calibration: not judged.")
    own, other = (
        expected_calibration_error(showing.list_probabilities[trial.fresh], showing.hit[trial.fresh])
        for showing in (trial.candidate, trial.champion)
    )
    chance = error_of_chance(np.clip(trial.candidate.list_probabilities[trial.fresh], 0, 1))
    said = (
        f"Calibration error of the top 10 {own:.4f}, {chance:.4f} by chance alone, tolerance {policy.tolerance:.4f}; "
        f"the champion's {other:.4f}; {int(trial.fresh.sum()):,} users."
    )
    return Finding("calibration", own <= max(chance + policy.tolerance, other), said)


def latency(policy: LatencyPolicy, milliseconds: Sequence[np.ndarray]) -> Finding:
    """One answer is fast enough, and not much slower than the champion's.

    Args:
        policy: the limits.
        milliseconds: (calls,) of the candidate, and of the champion where there is one.
    """
    p95 = [float(np.percentile(own, 95)) for own in milliseconds]
    too_slow = p95[0] > policy.maximum_p95_ms
    said = f"p95 of one answer {p95[0]:.1f} ms, {policy.maximum_p95_ms:.1f} allowed"
    if len(p95) > 1:
        too_slow |= p95[0] > max(policy.maximum_ratio * p95[1], policy.negligible_ms)
        said += f"; the champion's {p95[1]:.1f} ms, {policy.maximum_ratio:g} times that allowed"
    return Finding("latency", not too_slow, f"{said}.")


def _compare(trial: Trial, figure: str, confidence: float, among: np.ndarray | None = None) -> PairedComparison | None:
    """Candidate minus champion, turned so that more is better, of users with the figure under both; None: too few."""
    sign = -1.0 if figure == LOG_LOSS else 1.0
    own, other = (sign * showing.figures[figure] for showing in (trial.candidate, trial.champion))
    both = np.isfinite(own) & np.isfinite(other)
    if among is not None:
        both &= among
    return compare_paired(own[both], other[both], confidence=confidence) if both.sum() > 1 else None
