"""`recsys backup` and `recsys restore`: one workspace in one verified file, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from recsys.cli._run import JsonOption, WorkspaceOption, reported
from recsys.workspace import Workspace


def register(app: typer.Typer) -> None:
    """Adds the `backup` and `restore` commands."""
    app.command("backup")(backup)
    app.command("restore")(restore)


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to; there must be nothing yet.")],
    workspace: WorkspaceOption,
    as_json: JsonOption = False,
) -> None:
    """Back a workspace up into one file, while it is in use: events, features, catalogue, models, MLflow's records.

    Example: recsys backup movielens.backup --workspace movielens-100k
    """
    with reported(as_json) as report:
        from recsys.jobs.backup import backup as job

        result = job(Workspace.existing(workspace), file)
        report.show(
            f"{result.files:,} files of '{result.workspace}' in {result.file} ({result.bytes / 1e6:,.1f} MB), every "
            f"one read back; log position {result.position:,}."
        )
        report.result(result.as_dict())


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What recsys backup wrote.")],
    replace: Annotated[bool, typer.Option("--replace", help="Let a workspace of that name give way.")] = False,
    workspace: Annotated[
        str | None, typer.Option("--workspace", "-w", help="Which workspace it must be of (default: whichever it is).")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Bring a workspace back from a backup, under its own name, into $RECSYS_HOME; every byte is verified first.

    Example: recsys restore movielens.backup
    """
    with reported(as_json) as report:
        from recsys.jobs.restore import restore as job

        result = job(file, replace=replace, name=workspace)
        report.show(
            f"'{result.workspace}' is as of {result.made_at[:19]} UTC; log position {result.position:,}. "
            f"MLflow's records: {result.registry}."
        )
        if result.deleted_again:
            report.show(f"{result.deleted_again:,} users who were deleted since then stay deleted.")
        report.result(result.as_dict())
