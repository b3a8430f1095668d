"""`recsys models` and `recsys gc`: versions, the champion's history, and clearing up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from recsys.cli._run import JsonOption, WorkspaceOption, reported
from recsys.errors import ConfigError
from recsys.workspace import Workspace

if TYPE_CHECKING:
    from recsys.jobs.models import Collected, ListedVersion, Move

_SHOWN = "validation.ndcg_at_10"


def register(app: typer.Typer) -> None:
    """Adds `models` and `gc`."""
    group = typer.Typer(no_args_is_help=True, help="Versions of the model, and the champion's history.")
    group.command("list")(list_versions)
    group.command("show")(show)
    group.command("history")(history)
    group.command("challenge")(challenge)
    app.add_typer(group, name="models")
    app.command("gc")(gc)


def list_versions(workspace: WorkspaceOption, as_json: JsonOption = False) -> None:
    """List the versions: aliases, when and on what they were trained, who uses them now.

    Example: recsys models list --workspace movielens-100k
    """
    with reported(as_json) as report:
        from recsys.jobs import models as job

        found = job.versions(Workspace.existing(workspace))
        report.show(_versions_table(found))
        report.result({"workspace": workspace, "versions": [one.as_dict() for one in found]})


def show(
    workspace: WorkspaceOption,
    version: Annotated[int, typer.Option("--version", min=1, help="Which version.")],
    as_json: JsonOption = False,
) -> None:
    """Show where one version came from: data, log position, features, code; and what its training measured.

    Example: recsys models show --workspace movielens-100k --version 3
    """
    with reported(as_json) as report:
        from recsys.jobs import models as job

        found = job.version(Workspace.existing(workspace), str(version))
        told = {"content_hash": found.content_hash, "run_id": found.run_id, **dict(sorted(found.lineage.items()))}
        figures = {name: f"{value:.4f}" for name, value in sorted(found.metrics.items()) if name.startswith("val")}
        report.show(Text("\n".join(f"{name}: {value}" for name, value in {**told, **figures}.items())))
        report.result(found.as_dict())


def history(workspace: WorkspaceOption, as_json: JsonOption = False) -> None:
    """Show every move of the champion: when, from which version to which, by whom, why, and what the policy said.

    Example: recsys models history --workspace movielens-100k
    """
    with reported(as_json) as report:
        from recsys.jobs import models as job

        found = job.history(Workspace.existing(workspace))
        report.show(_history_table(found) if found else Text("The champion was never moved."))
        report.result({"workspace": workspace, "moves": [move.as_dict() for move in found]})


def challenge(
    workspace: WorkspaceOption,
    version: Annotated[int | None, typer.Option("--version", min=1, help="Which version is to be tried.")] = None,
    nobody: Annotated[bool, typer.Option("--none", help="End the trial: there is no challenger any more.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Name the challenger: the version that `recsys serve --split` gives to a share of the users. The champion stays.

    Example: recsys models challenge --workspace movielens-100k --version 3
    """
    with reported(as_json) as report:
        if (version is None) == (not nobody):
            raise ConfigError("Give either --version N or --none.")
        from recsys.jobs import models as job

        named = None if version is None else str(version)
        before = job.challenge(Workspace.existing(workspace), named)
        now = "There is no challenger" if named is None else f"Version {named} is the challenger"
        report.show(f"{now} now{f', in place of version {before}' if before else ''}.")
        report.result({"workspace": workspace, "challenger": named, "before": before})


def gc(
    workspace: WorkspaceOption,
    keep: Annotated[int, typer.Option("--keep", min=1, help="How many of the newest versions stay in any case.")] = 5,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go; remove nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Remove old versions' snapshots; their runs and figures stay.

    The champion, the challenger, what a rollback would restore and every version that a service or a batch is using
    are kept as well.

    Example: recsys gc --workspace movielens-100k --keep 3 --dry-run
    """
    with reported(as_json) as report:
        from recsys.jobs import models as job

        found = job.collect(Workspace.existing(workspace), keep=keep, dry_run=dry_run)
        report.show(Text(_collected(found)))
        report.result(found.as_dict())


def _versions_table(found: list[ListedVersion]) -> Table:
    table = Table(title_justify="left")
    for name in ("version", "", "trained at", "log position", "validation NDCG@10", "code", "in use by"):
        table.add_column(name, justify="right" if name in ("version", "log position", "validation NDCG@10") else "left")
    for one in found:
        figure = one.metrics.get(_SHOWN)
        cells = [
            one.version,
            ", ".join(one.aliases),
            one.lineage.get("trained_at", ""),
            one.lineage.get("log_position", ""),
            "" if figure is None else f"{figure:.4f}",
            one.lineage.get("code_commit", ""),
            ", ".join(one.used_by),
        ]
        table.add_row(*(Text(cell) for cell in cells))
    return table


def _history_table(found: list[Move]) -> Table:
    table = Table(title_justify="left")
    for name in ("when", "what", "from", "to", "by", "why", "the policy"):
        table.add_column(name)
    for move in found:
        what = f"{move.kind}{' (forced)' if move.forced else ''}"
        cells = [move.at[:19], what, move.version_from or "", move.version_to, move.by, move.why, move.verdict]
        table.add_row(*(Text(cell) for cell in cells))
    return table


def _collected(found: Collected) -> str:
    lines = [f"version {version} stays: {why}" for version, why in found.kept.items()]
    verb = "would go" if found.dry_run else "is removed"
    lines += [f"version {version} {verb}" for version in found.removed]
    lines += [f"local snapshot {name} of no version {verb}" for name in found.leftovers]
    lines.append(f"{found.bytes / 1e6:.1f} MB {'would be freed. Nothing was changed.' if found.dry_run else 'freed.'}")
    return "\n".join(lines)
