"""What an import finds out: problems that stop it, treatments of odd rows, notes on what was inferred."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from recsys.data.imported import Treatment
from recsys.errors import DataError


@dataclass(slots=True)
class Findings:
    """Collects while files are read, so that one message can list everything that is wrong."""

    problems: list[str] = field(default_factory=list)
    treatments: list[Treatment] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def problem(self, file: str, what: str) -> None:
        """Something that makes the file unusable."""
        self.problems.append(f"{file}: {what}")

    def treated(self, file: str, what: str, rows: int, done: str) -> None:
        """Rows that were not plain and what was done with them; nothing is kept when there are none."""
        if rows:
            self.treatments.append(Treatment(file, what, rows, done))

    def note(self, what: str) -> None:
        """Something inferred that the user may want to override."""
        self.notes.append(what)

    def stop_if_unusable(self, folder: Path) -> None:
        """Raises one DataError that lists every problem found so far."""
        if self.problems:
            listed = "\n".join(f"  - {problem}" for problem in self.problems)
            raise DataError(f"The data in {folder} cannot be used as they are:\n{listed}\nNothing was imported.")
