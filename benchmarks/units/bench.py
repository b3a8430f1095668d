"""What every unit works on: a workspace's data as sequences, where results and arrays go, which split is looked at."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.units.files import file_hash
from recsys.context.sequences import Sequences
from recsys.errors import ConfigError
from recsys.evaluation import next_basket
from recsys.evaluation.cases import Cases, Catalogue, leave_one_out_cases
from recsys.evaluation.ledger import LEDGER_VARIABLE
from recsys.evaluation.next_basket import BasketCases
from recsys.evaluation.protocol import SplitName
from recsys.evaluation.temporal import TemporalMoments, moments_by_share
from recsys.evaluation.workspace_protocol import training_sequences_of
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
        bench = Bench(self.workspace, "validation", self.results, self.work, self.data, self.threads)
        bench.__dict__["dataset"] = self.dataset  # read once
        return bench

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
        """SHA-256 of the data: events in order, ids, catalogue files. Code that reads them plays no part."""
        digest = hashlib.sha256()
        for array in (self.whole.offsets, self.whole.items, self.whole.times, self.whole.values):
            digest.update(np.ascontiguousarray(array).tobytes())
        for text in (*self.whole.user_ids, *self.dataset.vocabulary, str((self.catalogue.repeats, self.baskets))):
            digest.update(text.encode() + b"\0")
        for path in (self.workspace.users_file, self.workspace.items_file):
            digest.update(file_hash(path).encode() if path.is_file() else b"none")
        return digest.hexdigest()

    @property
    def baskets(self) -> bool:
        """Whether targets are whole baskets (next-basket protocol) and not single events (leave-one-out)."""
        return bool(self.dataset.schema.baskets)

    @property
    def whole(self) -> Sequences:
        """Complete sequences."""
        return self.dataset.sequences

    @cached_property
    def train(self) -> Sequences:
        """What may train, for both splits: nothing from an evaluated user's validation target on."""
        return training_sequences_of(self.dataset)

    @cached_property
    def moments(self) -> TemporalMoments:
        """Where the temporal split divides the data; only where events have a clock."""
        return moments_by_share(self.whole.times)

    @property
    def catalogue(self) -> Catalogue:
        """What is ranked."""
        return Catalogue(len(self.dataset.vocabulary), self.dataset.schema.repeats)

    @cached_property
    def cases(self) -> Cases:
        """The split's leave-one-out cases; none of them is meant where targets are baskets."""
        return leave_one_out_cases(self.whole, self.split)

    @cached_property
    def basket_cases(self) -> BasketCases:
        """The split's next-basket cases, where targets are baskets."""
        return next_basket.basket_cases(self.whole, self.split)

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
