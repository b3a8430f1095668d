"""Runs units one after another: skips what is finished, resumes what was cut short, writes one JSON for each."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from benchmarks.units.arms import WARM, Arm, load_arm, save_arm, saved_entry
from benchmarks.units.bench import Bench
from benchmarks.units.files import key_of, machine, read_json, write_json
from recsys.errors import ConfigError, RecsysError
from recsys.evaluation.ledger import looks_before, record_look
from recsys.registry.lineage import code_commit
from recsys.training.progress import Progress

MINUTES = 40.0


class UnitTimeoutError(RecsysError):
    """A unit took longer than it may; the arms it had saved are kept."""


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
        targets: "single" or "baskets" where only such a workspace is meant; "any" otherwise.
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
    targets: Literal["single", "baskets", "any"] = "any"
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


def run_units(
    bench: Bench,
    units: Sequence[Unit],
    *,
    progress: Progress,
    say: Callable[[str], None],
    seeds: tuple[int, ...] | None = None,
    again: bool = False,
    minutes: float = MINUTES,
) -> list[Path]:
    """Runs the units in order.

    Args:
        bench: data, folders and split.
        units: which.
        progress: bars.
        say: one line for people.
        seeds: instead of each unit's own, where it has any.
        again: also what is finished; nothing saved is reused.
        minutes: how long one unit may take.

    Returns:
        The result files, of skipped units too.

    Raises:
        UnitTimeoutError: a unit took too long.
        ConfigError: a unit that another one needs has no result, or the workspace is missing.
    """
    written = []
    for place, unit in enumerate(units, 1):
        path = result_file(bench, unit.name)
        title = f"[{place}/{len(units)}] {unit.name}"
        if unit.targets != "any" and (unit.targets == "baskets") != bench.baskets:
            say(f"{title}: not meant for '{bench.workspace.name}', whose targets are {_targets(bench)}; left out.")
            continue
        wanted = unit.seeds if seeds is None or not unit.seeds else seeds
        inputs = _inputs(bench, unit)
        key = key_of({**inputs, "seeds": list(wanted)})
        before = None if again else read_json(path)
        if before is not None and before.get("key") == key:
            say(f"{title}: finished at {before['at']} in {before['seconds']:.0f} s, {before['commit']}; skipped.")
        else:
            why = "; its inputs changed since its last result" if before else ""
            say(f"{title}: {unit.about}{why}")
            salt = {"again": time.time_ns()} if again else {}
            run = UnitRun(bench, unit, wanted, key_of({**inputs, **salt}), progress)
            started = time.monotonic()
            with _time_limit(unit.name, minutes):
                figures = dict(unit.run(run))
            seconds = time.monotonic() - started
            _record(run, inputs, key, figures, seconds)
            say(f"{title}: done in {seconds:.0f} s, {path}")
        written.append(path)
    return written


def _targets(bench: Bench) -> str:
    return "baskets" if bench.baskets else "single events"


def _inputs(bench: Bench, unit: Unit) -> dict[str, object]:
    return {
        "workspace": bench.workspace.name,
        "split": bench.split,
        "data": bench.fingerprint if unit.has_data else None,
        "unit": unit.name,
        "revision": unit.revision,
        "settings": {**unit.settings, **unit.also(bench)},
        "needs": {name: finished(bench, name)["key"] for name in unit.needs},
    }


def _record(
    run: UnitRun, inputs: Mapping[str, object], key: str, figures: Mapping[str, object], seconds: float
) -> None:
    bench, unit = run.bench, run.unit
    content: dict[str, object] = {
        "unit": unit.name,
        "workspace": bench.workspace.name,
        "split": bench.split,
        "key": key,
        "inputs": dict(inputs),
        "seeds": list(run.seeds),
        "arms": sorted(run.arms, key=lambda entry: (entry["protocol"], entry["name"], entry["seed"])),
        "figures": dict(figures),
        "seconds": round(seconds, 1),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": code_commit(),
        "machine": machine(),
        "command": " ".join(["python", *sys.argv]),
    }
    if bench.split == "test" and unit.looks and unit.has_data:
        content["test_looks_before"] = looks_before(bench.workspace)
        metrics = {f"{e['name']} (seed {e['seed']}, {e['protocol']})": e["metrics"] for e in run.arms}
        record_look(
            bench.workspace,
            {"at": content["at"], "commit": content["commit"], "unit": unit.name, "config": dict(unit.settings)}
            | {"metrics": metrics},
        )
    write_json(result_file(bench, unit.name), content)


@contextmanager
def _time_limit(name: str, minutes: float) -> Iterator[None]:
    """Ends a unit that takes too long; only the main thread of a POSIX system can be interrupted so."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return

    def ring(_signal: int, _frame: object) -> None:
        raise UnitTimeoutError(
            f"The unit '{name}' took longer than {minutes:g} minutes and was stopped. The arms it had saved are kept: "
            "run it again to go on from there, or split it."
        )

    previous = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, minutes * 60)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
