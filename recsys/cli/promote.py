"""`recsys promote` and `recsys rollback`: which version of the model is the champion."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING, Annotated

import typer

from recsys.cli._run import JsonOption, WorkspaceOption, reported
from recsys.workspace import Workspace

if TYPE_CHECKING:
    from recsys.registry.history import Move

ByOption = Annotated[str | None, typer.Option("--by", metavar="NAME", help="Who moves it (default: you).")]
WhyOption = Annotated[str, typer.Option("--why", metavar="TEXT", help="Why, for the record.")]


def register(app: typer.Typer) -> None:
    """Adds `promote` and `rollback`."""
    app.command("promote")(promote)
    app.command("rollback")(rollback)


def promote(
    workspace: WorkspaceOption,
    *,
    version: Annotated[
        int | None, typer.Option("--version", min=1, help="Which version (default: the latest).")
    ] = None,
    why: WhyOption = "",
    by: ByOption = None,
    force: Annotated[bool, typer.Option("--force", help="Promote it even if the policy refuses; needs --why.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what the policy says; move nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Make a version the champion, if it is not worse than the present one.

    The policy compares what the training runs measured on validation. The first version has nothing to beat. Every
    move is recorded with who, when and why.

    Example: recsys promote --workspace movielens-100k --version 3 --why "more history"
    """
    with reported(as_json) as report:
        from recsys.jobs import promote as job

        target = Workspace.existing(workspace)
        asked = None if version is None else str(version)
        move = job.promote(target, asked, by=_author(by), why=why, force=force, dry_run=dry_run)
        report.show(f"{move.verdict}\n{_outcome(move, dry_run)}")
        report.result(move.as_dict() | {"dry_run": dry_run})


def rollback(workspace: WorkspaceOption, why: WhyOption = "", by: ByOption = None, as_json: JsonOption = False) -> None:
    """Make the previous champion the champion again; run it twice to go back two.

    Example: recsys rollback --workspace movielens-100k --why "complaints about version 3"
    """
    with reported(as_json) as report:
        from recsys.jobs import promote as job

        move = job.rollback(Workspace.existing(workspace), by=_author(by), why=why)
        report.show(f"Version {move.version_to} is the champion again, in place of version {move.version_from}.")
        report.result(move.as_dict())


def _author(by: str | None) -> str:
    if by:
        return by
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"


def _outcome(move: Move, dry_run: bool) -> str:
    if move.version_from == move.version_to:
        return "Nothing to do."
    overruled = " although the policy refuses" if move.forced else ""
    if dry_run:
        return f"Dry run: version {move.version_to} would become the champion{overruled}. Nothing was changed."
    before = f", in place of version {move.version_from}" if move.version_from else ""
    return f"Version {move.version_to} is the champion now{before}{overruled}."
