"""What the doctor says: one finding a check, in plain words, with the command that mends it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "note", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one check.

    Attributes:
        check: what was looked at, in a word or two.
        status: `problem` means that something needed does not work; `note` is worth knowing and stops nothing.
        says: what was found, a sentence.
        mend: the command, or the step, that mends it; None where there is nothing to mend.
    """

    check: str
    status: Status
    says: str
    mend: str | None = None

    def as_dict(self) -> dict[str, str | None]:
        return {"check": self.check, "status": self.status, "says": self.says, "mend": self.mend}


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All findings of one visit."""

    findings: tuple[Finding, ...]

    @property
    def healthy(self) -> bool:
        return not self.problems

    @property
    def problems(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.status == "problem")

    def as_dict(self) -> dict[str, object]:
        return {"healthy": self.healthy, "findings": [finding.as_dict() for finding in self.findings]}
