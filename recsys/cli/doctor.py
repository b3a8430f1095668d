"""`recsys doctor`: shows what the doctor found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from recsys.cli._run import JsonOption, reported
from recsys.workspace import Workspace

if TYPE_CHECKING:
    from recsys.jobs.doctor import Diagnosis, Finding

_MARKS = {"ok": ("✓", "green"), "note": ("·", "yellow"), "problem": ("✗", "bold red")}
_CHECK_WIDTH = 17


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
        for finding in diagnosis.findings:
            report.show(_line(finding))
        report.show(_verdict(diagnosis))
        report.result(diagnosis.as_dict())
    if not diagnosis.healthy:
        raise typer.Exit(1)


def _line(finding: Finding) -> Text:
    """One finding, never broken into lines by us: a command must be whole when it is copied."""
    mark, style = _MARKS[finding.status]
    line = Text.assemble((mark, style), f" {finding.check:<{_CHECK_WIDTH}}  {finding.says}")
    if finding.mend:
        line.append(f"\n  {'':<{_CHECK_WIDTH}}  → {finding.mend}", style="cyan")
    return line


def _verdict(diagnosis: Diagnosis) -> Text:
    if diagnosis.healthy:
        return Text("All that is needed works.", "green")
    count = len(diagnosis.problems)
    return Text(f"{count} problem{'s' if count > 1 else ''}: run the commands marked → and look again.", "bold red")
