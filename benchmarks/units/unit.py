"""What a unit of the benchmark is, what it is given, and where its result lies. Knows nothing of how units are run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from benchmarks.units.arms import WARM, Arm, load_arm, save_arm, saved_entry
from benchmarks.units.bench import Bench
from benchmarks.units.files import read_json
from recsys.errors import ConfigError
from recsys.training.progress import Progress


@dataclass(frozen=True, slots=True)
class Unit:
    """One piece of the benchmark: at most 40 minutes, one result file.

    Attributes:
        name: of the unit and its file.
        run: does the work, saves its arms through the run, returns its other figures (plain values).
        about: one line for people.
        settings: what its result depends on beside data, split and seeds; plain values.
        seeds: the seeds it runs by default; () where no seed changes anything.
        needs: units whose results must be there.
        revision: raised by hand when the unit's own code changes what it would find.
        has_data: False for the unit that makes the workspace.
        looks: False for a unit that only reads what other units found; it is no look at a test split.
        validation_only: True for a unit that is left out on any other split.
        targets: "single" or "baskets" where only such a workspace is meant; "any" otherwise.
        needs_clock: True for a unit that is left out where events have only an order.
        also: more of what its result depends on, found when it runs; plain values.
    """

    name: str
    run: Callable[[UnitRun], Mapping[str, object]]
    about: str
    settings: Mapping[str, object] = field(default_factory=dict)
    seeds: tuple[int, ...] = ()
    needs: tuple[str, ...] = ()
    revision: int = 1
    has_data: bool = True
    looks: bool = True
    validation_only: bool = False
    targets: Literal["single", "baskets", "any"] = "any"
    needs_clock: bool = False
    also: Callable[[Bench], Mapping[str, object]] = lambda _: {}


@dataclass
class UnitRun:
    """What a unit is given.

    Attributes:
        bench: data, folders and split.
        unit: itself.
        seeds: which seeds to run.
        key: of its inputs without the seeds: an arm saved under it is not made again.
        progress: where it says how far it is.
        arms: what result files say of the arms so far.
    """

    bench: Bench
    unit: Unit
    seeds: tuple[int, ...]
    key: str
    progress: Progress
    arms: list[dict[str, Any]] = field(default_factory=list)

    def has(self, name: str, seed: int, protocol: str = WARM) -> bool:
        """Whether this arm was saved by an earlier, interrupted or smaller run; if so it is taken over."""
        entry = saved_entry(self.bench.arms_folder, name, seed, protocol, self.key)
        if entry is not None and entry not in self.arms:
            self.arms.append(entry)
        return entry is not None

    def save(self, arm: Arm) -> None:
        """Keeps an arm."""
        self.arms.append(save_arm(self.bench.arms_folder, arm, self.key))

    def result(self, unit: str) -> dict[str, Any]:
        """The result of a unit that this one needs."""
        return finished(self.bench, unit)

    def loaded(self, unit: str) -> list[Arm]:
        """The arms of a unit that this one needs."""
        return [load_arm(self.bench.arms_folder, entry) for entry in self.result(unit)["arms"]]


def result_file(bench: Bench, unit: str) -> Path:
    """Where a unit's result lies."""
    return bench.results_folder / f"{unit}.json"


def finished(bench: Bench, unit: str) -> dict[str, Any]:
    """A unit's result.

    Raises:
        ConfigError: it has none yet.
    """
    content = read_json(result_file(bench, unit))
    if content is None:
        raise ConfigError(
            f"The unit '{unit}' has no result on the {bench.split} split of '{bench.workspace.name}' yet. Run it: "
            f"python benchmarks/quality.py --workspace {bench.workspace.name} --split {bench.split} --unit {unit}"
        )
    return content
