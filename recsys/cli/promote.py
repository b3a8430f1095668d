"""`recsys promote` and `recsys rollback`: which version of the model is the champion."""

from __future__ import annotations

import getpass
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

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
    """Make a version the champion, if the promotion policy lets it.

    It becomes @challenger and answers the same users as the champion, on events that neither was fitted on: it may not
    be worse, in no group of users either, and must be calibrated, fast and fresh (mlflow/promotion.toml). The first
    version has nothing to beat. Every move is recorded with who, when and why.

    Example: recsys promote --workspace movielens-100k --version 3 --why "more history"
    """
    with reported(as_json) as report:
        from recsys.jobs import promote as job

        target = Workspace.existing(workspace)
        asked = None if version is None else str(version)
        try:
            move = job.promote(target, asked, by=_author(by), why=why, force=force, dry_run=dry_run)
        except job.PromotionRefusedError as refused:
            report.show(_rules_table([finding.as_dict() for finding in refused.verdict.findings]))
            raise
        report.show(_rules_table(move.rules) if move.rules else move.verdict)
        report.show(_outcome(move, dry_run))
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


def _rules_table(rules: Sequence[Mapping[str, object]]) -> Table:
    table = Table(title="The promotion policy", title_justify="left")
    for name in ("rule", "", "what was found"):
        table.add_column(name)
    for rule in rules:
        table.add_row(Text(str(rule["rule"])), "passes" if rule["passed"] else "refuses", Text(str(rule["said"])))
    return table


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
