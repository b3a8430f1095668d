"""How good the recommendations are: every scorer under one protocol, in units that can be stopped and resumed.

    python benchmarks/quality.py --workspace ml-1m --data DIR            # every unit that is not finished
    python benchmarks/quality.py --workspace ml-1m --unit ials --seeds 0,1,2
    python benchmarks/quality.py --list

Results are committed (benchmarks/results/quality/), arrays are not (--work). The default split is validation; a look at
the test split is written into the ledger.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from recsys.cli.environment import calm_libraries

calm_libraries()

ROOT = Path(__file__).resolve().parent

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def seeds_of(text: str | None) -> tuple[int, ...] | None:
    """Seeds as they are typed: "0,1,2"."""
    from recsys.errors import ConfigError

    if text is None:
        return None
    try:
        seeds = tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise ConfigError(f"--seeds takes numbers with commas between, such as 0,1,2, and not '{text}'.") from error
    if len(set(seeds)) < len(seeds) or min(seeds) < 0:
        raise ConfigError(f"--seeds takes different numbers from 0 on, and not '{text}'.")
    return seeds


@app.command()
def quality(
    workspace: Annotated[str | None, typer.Option("--workspace", "-w", help="Which data set.")] = None,
    units: Annotated[list[str] | None, typer.Option("--unit", help="Only this unit (may be repeated).")] = None,
    seeds: Annotated[str | None, typer.Option(help="Instead of each unit's own, for example 0,1,2.")] = None,
    split: Annotated[str, typer.Option(help="validation or test.")] = "validation",
    data: Annotated[
        Path | None,
        typer.Option(envvar="RECSYS_BENCHMARK_DATA", help="Folder that holds the data sets, one folder each."),
    ] = None,
    work: Annotated[Path | None, typer.Option(help="Folder for big arrays (default: build/quality).")] = None,
    results: Annotated[
        Path | None, typer.Option(help="Folder of results (default: benchmarks/results/quality).")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Cores that a fit may use.")] = 1,
    minutes: Annotated[float, typer.Option(help="Longest time of one unit.")] = 40.0,
    again: Annotated[bool, typer.Option("--again", help="Also what is finished.")] = False,
    list_units: Annotated[bool, typer.Option("--list", help="Show the units and stop.")] = False,
) -> None:
    """Run the benchmark's units that are not finished, in order."""
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    import torch

    from benchmarks.units.bench import Bench, require_ledger
    from benchmarks.units.registry import UNITS, selected
    from benchmarks.units.runner import run_units
    from recsys.allocator import keep_large_blocks
    from recsys.cli.bars import Bars
    from recsys.errors import ConfigError, RecsysError
    from recsys.evaluation.ledger import LEDGER_VARIABLE
    from recsys.evaluation.protocol import split_name
    from recsys.workspace import Workspace

    if list_units:
        for unit in UNITS:
            seeded = f" (seeds {','.join(map(str, unit.seeds))})" if unit.seeds else ""
            typer.echo(f"{unit.name:<20} {unit.about}{seeded}")
        return
    keep_large_blocks()
    try:
        if workspace is None:
            raise ConfigError("Which data set? Say --workspace, for example --workspace ml-1m.")
        torch.set_num_threads(threads)
        chosen = split_name(split)
        require_ledger(chosen, os.environ.get(LEDGER_VARIABLE))
        bench = Bench(
            workspace=Workspace.named(workspace),
            split=chosen,
            results=(results or ROOT / "results" / "quality").absolute(),
            work=(work or ROOT.parent / "build" / "quality").absolute(),
            data=data,
            threads=threads,
        )
        with Bars() as bars:
            run_units(
                bench, selected(units or []), progress=bars, say=lambda line: typer.echo(line, err=True),
                seeds=seeds_of(seeds), again=again, minutes=minutes,
            )  # fmt: skip
    except RecsysError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(error.exit_code) from error
    except KeyboardInterrupt:
        typer.echo("Interrupted. Run the same command again to go on; nothing half-written was kept.", err=True)
        raise typer.Exit(130) from None


if __name__ == "__main__":
    app()
