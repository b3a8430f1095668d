"""The promotion policy as a typed file: what `mlflow/promotion.toml` says. Judges nothing, see `rules`."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from recsys.errors import ConfigError
from recsys.shipped import shipped_folder

LOG_LOSS = "log_loss"
FIGURES = ("ndcg@10", "hr@10", "mrr", LOG_LOSS)
"""What a version can be judged by; only of the log-loss less is better."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class EvidencePolicy(_Section):
    """On whom versions are compared."""

    minimum_users: int = Field(ge=2)
    """Fewer users are no evidence."""
    maximum_users: int = Field(ge=2)
    """More are sampled down, the same ones every time."""
    held_back: bool
    """Whether events that both trainings held back may stand in for later ones."""


class QualityPolicy(_Section):
    """What the comparison must show."""

    confidence: float = Field(gt=0.5, lt=1)
    """Of the interval of each paired difference; 1 minus it is the level of superiority."""
    superiority: Literal["always", "unless_newer", "never"]
    """Whether one figure must be better beyond noise."""
    margins: dict[str, float] = Field(min_length=1)
    """How much worse each figure may be, as a share of the champion's; the first one is the groups' too."""

    @field_validator("margins")
    @classmethod
    def _known_and_not_negative(cls, margins: dict[str, float]) -> dict[str, float]:
        wrong = [f"'{name}' is no figure" for name in margins if name not in FIGURES]
        wrong += [f"'{name}' has the margin {margin}" for name, margin in margins.items() if not 0 <= margin < 1]
        if wrong:
            raise ValueError(f"{', '.join(wrong)}; figures are {', '.join(FIGURES)}, margins from 0 to below 1")
        return margins


class GroupPolicy(_Section):
    """Which groups of users may not lose."""

    minimum_users: int = Field(ge=2)
    significance: float = Field(gt=0, lt=1)


class CalibrationPolicy(_Section):
    """How far probabilities may be off."""

    tolerance: float = Field(ge=0)


class LatencyPolicy(_Section):
    """How slow an answer may be, in milliseconds."""

    maximum_p95_ms: float = Field(gt=0)
    maximum_ratio: float = Field(gt=0)
    negligible_ms: float = Field(ge=0)


class DataPolicy(_Section):
    """How old a version's knowledge may be."""

    maximum_unseen_share: float = Field(ge=0, le=1)
    maximum_age_days: float = Field(gt=0)


class PromotionPolicy(_Section):
    """All of it, one section a rule; `mlflow/promotion.toml` says what each key means."""

    evidence: EvidencePolicy
    quality: QualityPolicy
    groups: GroupPolicy
    calibration: CalibrationPolicy
    latency: LatencyPolicy
    data: DataPolicy

    @classmethod
    def load(cls, path: Path | None = None) -> Self:
        """Reads a policy; without a path, the one that ships with recsys (mlflow/promotion.toml).

        Raises:
            ConfigError: the file is missing, is not TOML, or has missing, unknown or wrong keys; all are listed.
        """
        path = path or shipped_folder("mlflow") / "promotion.toml"
        try:
            return cls.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
        except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"The promotion policy {path} cannot be read: {error}") from error
        except ValidationError as error:
            problems = [f"{'.'.join(map(str, one['loc']))}: {_said(one['type'], one['msg'])}" for one in error.errors()]
            raise ConfigError(f"The promotion policy {path} cannot be used: {'; '.join(problems)}.") from error


def _said(kind: str, message: str) -> str:
    return {"extra_forbidden": "unknown key", "missing": "missing key"}.get(kind, message)
