"""Runs units one after another: skips what is finished, resumes what was cut short, writes one JSON for each."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.units.bench import Bench
from benchmarks.units.files import command, key_of, machine, read_json, write_json
from benchmarks.units.time_limit import time_limit
from benchmarks.units.unit import Unit, UnitRun, finished, result_file
from recsys.evaluation.ledger import looks_before, record_look
from recsys.registry.lineage import code_commit
from recsys.training.progress import Progress

MINUTES = 40.0


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
        reason = _why_left_out(bench, unit)
        if reason is not None:
            say(f"{title}: {reason}; left out.")
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
            started, commit = time.monotonic(), code_commit()
            with time_limit(unit.name, minutes):
                figures = dict(unit.run(run))
            seconds = time.monotonic() - started
            _record(run, inputs, key, figures, seconds, commit)
            say(f"{title}: done in {seconds:.0f} s, {path}")
        written.append(path)
    return written


def _why_left_out(bench: Bench, unit: Unit) -> str | None:
    """Why a unit is not meant for this workspace or split; None where it is."""
    not_meant = f"not meant for '{bench.workspace.name}', whose"
    if unit.targets != "any" and (unit.targets == "baskets") != bench.baskets:
        return f"{not_meant} targets are {'baskets' if bench.baskets else 'single events'}"
    if unit.needs_clock and not bench.dataset.schema.clock:
        return f"{not_meant} events have an order and no times"
    if unit.validation_only and bench.split != "validation":
        return "measured on validation only"
    return None


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
    run: UnitRun, inputs: Mapping[str, object], key: str, figures: Mapping[str, object], seconds: float, commit: str
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
        "commit": commit,
        "machine": machine(),
        "command": command("quality.py"),
    }
    if bench.split == "test" and unit.looks and unit.has_data:
        content["test_looks_before"] = looks_before(bench.workspace)
        metrics = {f"{e['name']} (seed {e['seed']}, {e['protocol']})": e["metrics"] for e in run.arms}
        record_look(
            bench.workspace,
            {"at": content["at"], "commit": content["commit"], "unit": unit.name, "config": inputs["settings"]}
            | {"metrics": metrics},
        )
    write_json(result_file(bench, unit.name), content)
