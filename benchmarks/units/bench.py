"""What every unit works on: a workspace's data as sequences, where results and arrays go, which split is looked at."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from recsys.context.sequences import Sequences
from recsys.errors import ConfigError
from recsys.evaluation.cases import Cases, Catalogue, leave_one_out_cases
from recsys.evaluation.ledger import LEDGER_VARIABLE
from recsys.evaluation.protocol import SplitName, training_sequences
from recsys.workspace import Workspace

if TYPE_CHECKING:
    from recsys.training.dataset import Dataset

DATA_VARIABLE = "RECSYS_BENCHMARK_DATA"
LOADED = ("movielens-100k", "complete-journey")
"""Data sets that ship with an installed package; the others are folders of the benchmark data."""


@dataclass(frozen=True)
class Bench:
    """One benchmark on one workspace and split.

    Attributes:
        workspace: the data set's workspace; `data` makes it.
        split: validation unless a test look is wanted and written down.
        results: folder of committed results.
        work: folder of big arrays, never committed.
        data: folder that holds the benchmark data sets; None where none was given.
        threads: how many cores a fit may use.
    """

    workspace: Workspace
    split: SplitName
    results: Path
    work: Path
    data: Path | None = None
    threads: int = 1

    @property
    def results_folder(self) -> Path:
        """Results of this workspace and split."""
        return self.results / self.workspace.name / self.split

    @property
    def arms_folder(self) -> Path:
        """Arrays of this workspace and split."""
        return self.work / self.workspace.name / self.split

    def on_validation(self) -> Bench:
        """The same benchmark on the split that everything is chosen by."""
        return Bench(self.workspace, "validation", self.results, self.work, self.data, self.threads)

    @cached_property
    def dataset(self) -> Dataset:
        """The workspace's data.

        Raises:
            ConfigError: there is no such workspace.
        """
        from recsys.training.dataset import Dataset

        if not self.workspace.schema_file.is_file():
            raise ConfigError(f"There is no workspace '{self.workspace.name}' in {self.workspace.home}. {self.how()}")
        return Dataset.load(self.workspace)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the data."""
        return self.dataset.fingerprint()

    @property
    def whole(self) -> Sequences:
        """Complete sequences."""
        return self.dataset.sequences

    @cached_property
    def train(self) -> Sequences:
        """What may train: all but each evaluated user's last two events, for both splits."""
        return training_sequences(self.whole)

    @property
    def catalogue(self) -> Catalogue:
        """What is ranked."""
        return Catalogue(len(self.dataset.vocabulary), self.dataset.schema.repeats)

    @cached_property
    def cases(self) -> Cases:
        """The split's leave-one-out cases."""
        return leave_one_out_cases(self.whole, self.split)

    @cached_property
    def validation_cases(self) -> Cases:
        """What settings and scales are chosen by."""
        return leave_one_out_cases(self.whole, "validation")

    def how(self) -> str:
        """How to make the workspace."""
        name = self.workspace.name
        if name in LOADED:
            return f"Make it with: recsys data load {name}, or run the unit 'data' first."
        return (
            f"Run the unit 'data' with --data DIR or ${DATA_VARIABLE}, a folder that holds {name}/events.parquet, or "
            f"make it with: recsys data import DIR --workspace {name}"
        )


def require_ledger(split: str, ledger: str | None) -> None:
    """A test split is looked at only where the look is written down.

    Raises:
        ConfigError: it would not be.
    """
    if split == "test" and not ledger:
        raise ConfigError(
            f"A look at a test split is written into a ledger: set {LEDGER_VARIABLE} to "
            "benchmarks/results/test-ledger.jsonl and run this again, or leave --split out to see validation."
        )
