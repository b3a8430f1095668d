"""`recsys doctor`: shows what the doctor found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from recsys.cli._run import JsonOption, reported
from recsys.workspace import Workspace

if TYPE_CHECKING:
    from recsys.jobs.doctor import Diagnosis

_MARKS = {"ok": ("✓", "green"), "note": ("·", "yellow"), "problem": ("✗", "bold red")}


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("doctor")(doctor)


def doctor(
    workspace: Annotated[
        str | None, typer.Option("--workspace", "-w", help="Also look whether this workspace exists.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Says in plain words what is wrong with the environment, and which command mends it.

    Exit code 0 when all that is needed works, 1 otherwise.

    Example: recsys doctor
    """
    from recsys.jobs.doctor import diagnose

    with reported(as_json) as report:
        if workspace is not None:
            Workspace.existing(workspace)
        diagnosis = diagnose()
        report.show(_table(diagnosis))
        report.show(_verdict(diagnosis))
        report.result(diagnosis.as_dict())
    if not diagnosis.healthy:
        raise typer.Exit(1)


def _table(diagnosis: Diagnosis) -> Table:
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(width=1)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in diagnosis.findings:
        mark, style = _MARKS[finding.status]
        says = Text(finding.says)
        if finding.mend:
            says.append(f"\n→ {finding.mend}", style="cyan")
        table.add_row(Text(mark, style), finding.check.replace("[", r"\["), says)
    return table


def _verdict(diagnosis: Diagnosis) -> Text:
    if diagnosis.healthy:
        return Text("All that is needed works.", "green")
    count = len(diagnosis.problems)
    return Text(f"{count} problem{'s' if count > 1 else ''}: run the commands marked → and look again.", "bold red")
