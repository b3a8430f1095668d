"""The unit that makes the workspace, by the commands that people type."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.units.bench import DATA_VARIABLE, LOADED, Bench
from benchmarks.units.unit import Unit, UnitRun
from recsys.errors import ConfigError, DataError


def run_data(run: UnitRun) -> dict[str, object]:
    """Imports or loads the data set where the workspace is missing, and says what is in it."""
    bench = run.bench
    command = None
    if not bench.workspace.schema_file.is_file():
        command = _command(bench)
        program = [sys.executable, "-c", "from recsys.cli import main; main()"]
        done = subprocess.run([*program, *command], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise DataError(f"recsys {' '.join(command)} failed: {done.stderr.strip() or done.stdout.strip()}")
    lengths = bench.whole.lengths
    return {
        "command": None
        if command is None
        else " ".join(["recsys", *(Path(c).name if "/" in c else c for c in command)]),
        "users": len(bench.whole),
        "evaluated_users": len(bench.basket_cases if bench.baskets else bench.cases),
        "targets": "baskets" if bench.baskets else "single events",
        "items": bench.catalogue.n_items,
        "repeats": bench.catalogue.repeats,
        "interactions": int(lengths.sum()),
        "median_events_of_a_user": float(sorted(lengths)[len(lengths) // 2]),
        "fingerprint": bench.fingerprint,
    }


def _command(bench: Bench) -> list[str]:
    name = bench.workspace.name
    if name in LOADED:
        return ["data", "load", name]
    if bench.data is None or not (bench.data / name).is_dir():
        where = f"--data DIR or ${DATA_VARIABLE}" if bench.data is None else f"{bench.data}"
        raise ConfigError(
            f"There is no workspace '{name}' in {bench.workspace.home}, and no data to make it of: {where} has to be a "
            f"folder that holds {name}/events.parquet. Data sets that need no folder: {', '.join(LOADED)}."
        )
    return ["data", "import", str(bench.data / name), "--workspace", name]


DATA = Unit("data", run_data, "the workspace and what is in it", has_data=False, looks=False)
