"""`recsys experts`: which experts a workspace can have, and each of them alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recsys.cli._run import JsonOption, WorkspaceOption, reported
from recsys.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from recsys.jobs.experts import ExpertEvaluation
    from recsys.jobs.memory_search import MemoryChoice
    from recsys.training.roster import RosterEntry

ConfigOption = Annotated[
    str, typer.Option("--config", metavar="NAME|FILE", help="A named configuration, or a .toml file of yours.")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override one setting, e.g. memories.memory.top=200."),
]
_MEGA = 1_000_000


def register(app: typer.Typer) -> None:
    """Adds the `experts` commands."""
    experts = typer.Typer(no_args_is_help=True, help="Look at the experts and try each of them alone.")
    experts.command("list")(list_experts)
    experts.command("evaluate")(evaluate)
    experts.command("search")(search)
    app.add_typer(experts, name="experts")


def list_experts(
    workspace: WorkspaceOption,
    *,
    config: ConfigOption = "default",
    overrides: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the experts of a configuration, with settings, and why this workspace does without some.

    Example: recsys experts list --workspace movielens-100k
    """
    with reported(as_json) as report:
        from recsys.training.config import load_config

        target = Workspace.existing(workspace)
        settings = load_config(config, overrides or [])

        from recsys.jobs.experts import list_experts as job

        found = job(target, settings)
        report.show(experts_table(target.name, found))
        report.result({"workspace": target.name, "experts": [entry.as_dict() for entry in found]})


def evaluate(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Which expert; see recsys experts list.")],
    workspace: WorkspaceOption,
    *,
    config: ConfigOption = "default",
    overrides: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fit one expert alone and rank every validation target by it. Nothing is registered.

    Example: recsys experts evaluate memory --workspace movielens-100k --set memories.memory.top=200
    """
    with reported(as_json) as report:
        from recsys.cli.bars import Bars
        from recsys.training.config import load_config

        target = Workspace.existing(workspace)
        settings = load_config(config, overrides or [])

        from recsys.jobs.experts import evaluate_expert

        with Bars() as progress:
            found = evaluate_expert(target, name, settings, progress=progress)
        report.show(_in_words(found))
        report.result(found.as_dict())


def search(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Which of the configuration's sequence memories.")],
    workspace: WorkspaceOption,
    budget: Annotated[float, typer.Option("--budget", metavar="SECONDS", min=0, help="How long all may take.")],
    *,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", dir_okay=False, help="Write the best setting as TOML.")
    ] = None,
    config: ConfigOption = "default",
    overrides: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Look for a better setting of a sequence memory: decays, windows, ridges, judged on validation.

    The configured setting comes first, then its neighbours. Put the section that is printed into a configuration file
    of yours.

    Example: recsys experts search memory --workspace movielens-100k --budget 60
    """
    with reported(as_json) as report:
        from recsys.cli.bars import Bars
        from recsys.training.config import load_config

        target = Workspace.existing(workspace)
        settings = load_config(config, overrides or [])

        from recsys.jobs.memory_search import search_memory_setting

        with Bars() as progress:
            found = search_memory_setting(target, name, settings, budget, progress=progress)
        report.show(trials_table(found))
        report.show(f"{'No neighbour is better' if found.finished else 'The time is over'}; {found.seconds:.1f} s.")
        report.show(found.toml)
        if out is not None:
            out.write_text(found.toml, encoding="utf-8")
            report.show(f"Written to {out}")
        report.result(found.as_dict())


def trials_table(found: MemoryChoice) -> Table:
    """One trial a row, in order."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title=f"{found.name} on {found.users:,} validation users of {found.workspace}", title_justify="left")
    for column in ("trial", "NDCG@10", "seconds"):
        table.add_column(column, justify="left" if column == "trial" else "right")
    for trial in found.trials:
        value = f"{trial.value:.4f}" if trial.solved else "not solved"
        table.add_row(Text(trial.changed), Text(value, "bold" if trial.better else ""), f"{trial.seconds:.2f}")
    return table


def experts_table(workspace: str, entries: Sequence[RosterEntry]) -> Table:
    """One expert a row: its settings, or why it is missing."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title=f"Experts of {workspace}", title_justify="left")
    for column in ("expert", "kind", "settings"):
        table.add_column(column)
    for entry in entries:
        told = ", ".join(f"{name} {value}" for name, value in entry.settings.items() if value is not None)
        note = Text(told) if entry.missing is None else Text(f"not here: {entry.missing}", "dim")
        table.add_row(Text(entry.name), Text(entry.kind), note)
    return table


def _in_words(found: ExpertEvaluation) -> str:
    whole = found.load_seconds + found.fit_seconds
    return (
        f"{found.name} alone on {found.workspace}, validation, {found.protocol}, {found.users:,} users, "
        f"{found.items:,} items: NDCG@10 {found.metrics['ndcg@10']:.4f}, HR@10 {found.metrics['hr@10']:.4f}.\n"
        f"Fitted in {found.fit_seconds:.1f} s ({whole:.1f} s with loading), ranked in {found.evaluate_seconds:.1f} s.\n"
        f"Its tensors take {found.tensor_bytes / _MEGA:,.1f} MB; this process took {found.peak_bytes / _MEGA:,.0f} MB "
        "at most."
    )
