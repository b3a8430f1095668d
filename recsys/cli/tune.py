"""`recsys tune`: searches for better settings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recsys.cli._run import JsonOption, WorkspaceOption, reported
from recsys.workspace import Workspace

if TYPE_CHECKING:
    from rich.table import Table

    from recsys.jobs.tune import TuneResult

_INTERRUPTED = 130


def register(app: typer.Typer) -> None:
    """Adds `tune`."""
    app.command("tune")(tune)


def tune(
    workspace: WorkspaceOption,
    trials: Annotated[int, typer.Option("--trials", metavar="N", min=1, help="How many settings to try.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", dir_okay=False, help="Where the best is written.")],
    *,
    space: Annotated[
        Path | None, typer.Option("--space", metavar="FILE", help="A .toml of what may change; else the library's.")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option("--seconds", metavar="S", min=0, help="How long all may take.")
    ] = None,
    config: Annotated[
        str, typer.Option("--config", metavar="NAME|FILE", help="What to search from: a name, or a .toml of yours.")
    ] = "default",
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override one setting of it.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Look for better settings of body and heads on Ray Tune, judged on validation, and write the best as TOML.

    The configuration itself comes first, then what Optuna chooses; ASHA stops trials whose body falls behind. Ctrl-C
    ends the search and leaves the best so far. Train with it: recsys train --config FILE

    Example: recsys tune --workspace movielens-100k --config quickstart --trials 20 --out best.toml
    """
    with reported(as_json) as report:
        from recsys.cli.bars import Bars
        from recsys.training.config import load_config
        from recsys.tuning.space import SearchSpace

        target = Workspace.existing(workspace)
        settings = load_config(config, overrides or [])
        searched = SearchSpace.load(space, settings)

        from recsys.jobs.tune import tune as job

        with Bars() as progress:
            found = job(target, settings, searched, trials=trials, seconds=seconds, out=out, progress=progress)
        report.show(outcomes_table(found))
        report.show(_in_words(found))
        report.result(found.as_dict())
        if found.ended == "interrupted":
            report.finish()
            raise typer.Exit(_INTERRUPTED)


def outcomes_table(found: TuneResult) -> Table:
    """One trial a row, in the order in which they were chosen."""
    from rich.table import Table
    from rich.text import Text

    names = list(found.best.point)
    table = Table(title=f"Trials on {found.workspace}", title_justify="left")
    for column in ("trial", "NDCG@10", "of", "seconds", *(name.rpartition(".")[2] for name in names)):
        table.add_column(column)
    for one in found.outcomes:
        value = "" if one.value is None else f"{one.value:.4f}"
        judged = "model" if one.figures else f"{one.state}, {len(one.body_curve)} epochs"
        settings = (f"{value:.3g}" if isinstance(value, float) else str(value) for value in one.point.values())
        row = (str(one.number), value, judged, f"{one.seconds:.1f}", *settings)
        table.add_row(*(Text(cell, "bold" if one is found.best else "") for cell in row))
    return table


def _in_words(found: TuneResult) -> str:
    ended = {"all trials": "All trials ended", "seconds": "The time is over", "interrupted": "Interrupted"}[found.ended]
    failed = next((f" {one.why}" for one in found.outcomes if one.why), "")
    count = sum(one.state == "failed" for one in found.outcomes)
    trouble = f" {count} failed:{failed.rstrip('.')}." if count else ""
    return (
        f"{ended} after {len(found.outcomes)} of {found.asked_trials} trials and {found.seconds:.0f} s.{trouble}\n"
        f"The best, trial {found.best.number}, is in {found.out}. MLflow has all of them under run {found.run_id}.\n"
        f"Train it with: recsys train --workspace {found.workspace} --config {found.out}"
    )
