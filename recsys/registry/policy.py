"""The promotion policy: when a version may become the champion. Judges figures, moves nothing.

Figures are compared as the training runs logged them, so two versions trained on different events are compared on
different events.
"""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path

from recsys.errors import ConfigError
from recsys.registry.versions import RegisteredVersion
from recsys.shipped import shipped_folder


@dataclass(frozen=True, slots=True, kw_only=True)
class PromotionPolicy:
    """Non-inferiority in one metric.

    Attributes:
        metric: the metric compared, by dotted name; higher is better.
        tolerance: how much lower than the champion's it may be; not negative.
    """

    metric: str
    tolerance: float

    def __post_init__(self) -> None:
        metric: object = self.metric
        tolerance: object = self.tolerance
        if not (isinstance(metric, str) and metric):
            raise ConfigError(f"The promotion policy's metric must be a name, not {metric!r}.")
        if type(tolerance) not in (int, float) or not (math.isfinite(self.tolerance) and self.tolerance >= 0):
            raise ConfigError(f"The promotion policy's tolerance must be a number from 0 up, not {tolerance!r}.")

    @classmethod
    def load(cls, path: Path | None = None) -> PromotionPolicy:
        """Reads a policy; without a path, the one that ships with recsys (mlflow/promotion.toml).

        Raises:
            ConfigError: the file is missing, is not TOML, or has missing or unknown keys.
        """
        path = path or shipped_folder("mlflow") / "promotion.toml"
        try:
            raw = tomllib.loads(path.read_text())
        except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"The promotion policy {path} cannot be read: {error}") from error
        known = {field.name for field in fields(cls)}
        problems = [f"unknown key '{name}'" for name in sorted(raw.keys() - known)]
        problems += [f"missing key '{name}'" for name in sorted(known - raw.keys())]
        if problems:
            raise ConfigError(f"The promotion policy {path} has {', '.join(problems)}: it takes {', '.join(known)}.")
        return cls(**raw)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the policy says of a candidate.

    Attributes:
        allowed: whether it may become the champion.
        reason: one sentence with the figures.
        candidate: its figure, None when its run recorded none.
        champion: the champion's, None when there is no champion or it recorded none.
    """

    allowed: bool
    reason: str
    candidate: float | None
    champion: float | None


def judge(policy: PromotionPolicy, candidate: RegisteredVersion, champion: RegisteredVersion | None) -> Verdict:
    """Compares a candidate with the champion.

    Args:
        policy: what to compare and how strictly.
        candidate: the version to promote.
        champion: the present champion; None lets the candidate through, as there is nothing to fall behind.
    """
    new = candidate.metric(policy.metric)
    old = champion.metric(policy.metric) if champion else None
    if champion is None:
        return Verdict(True, "There is no champion yet.", new, None)
    if new is None or old is None or not (math.isfinite(new) and math.isfinite(old)):
        silent = candidate if new is None or not math.isfinite(new) else champion
        measured = ", ".join(sorted(silent.metrics)) or "none"
        reason = f"version {silent.version} has no {policy.metric} recorded (recorded: {measured})."
        return Verdict(False, reason, new, old)
    figures = (
        f"{policy.metric} {new:.4f} of version {candidate.version} against {old:.4f} of the champion "
        f"(version {champion.version}): {new - old:+.4f}, tolerance {policy.tolerance:.4f}."
    )
    return Verdict(new >= old - policy.tolerance, figures, new, old)
