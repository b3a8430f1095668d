"""`recsys data`: bring a data set into a workspace, and look at what a workspace holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recsys.cli._run import JsonOption, Report, WorkspaceOption, reported
from recsys.errors import ConfigError
from recsys.workspace import Workspace

if TYPE_CHECKING:
    from recsys.jobs.ingest import IngestResult

DATA_SETS = ("movielens-100k", "complete-journey")


def register(app: typer.Typer) -> None:
    """Adds the `data` commands."""
    data = typer.Typer(no_args_is_help=True, help="Bring a data set into a workspace; look at what it holds.")
    data.command("import")(import_folder)
    data.command("load")(load)
    data.command("show")(show)
    app.add_typer(data, name="data")


def import_folder(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Holds events.parquet or .csv, and perhaps users and items files.")
    ],
    workspace: WorkspaceOption,
    schema: Annotated[
        Path | None, typer.Option("--schema", metavar="FILE", help="A TOML that overrides what would be inferred.")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Only read, check and show; write nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Import your own data: events with user_id, item_id and timestamp or position.

    Optional columns of events: rating (or value), event. Optional files: users, items, with any columns; their types
    are inferred and shown. The schema file may hold repeats, baskets, title, a table events (positive, negative,
    min_value, weights) and tables users and items that give columns a type: categorical, numeric, list, text or ignore.
    Importing the same data again changes nothing.

    Example: recsys data import ./my-shop --workspace my-shop
    """
    with reported(as_json) as report:
        from recsys.cli.data_view import schema_view, treatments_view
        from recsys.data.importer import read_folder
        from recsys.jobs.ingest import ingest, workspace_schema

        target = Workspace.named(workspace)
        imported = read_folder(folder, schema, existing=workspace_schema(target))
        report.show(treatments_view(imported.treatments, imported.notes))
        if check:
            report.show(schema_view(imported.schema))
            report.show(f"Checked only: {imported.events.height:,} events can be used. Nothing was written.")
            report.result({"workspace": workspace, "checked": True, "events": imported.events.height})
        else:
            _ingested(report, ingest(target, imported))


def load(
    name: Annotated[str, typer.Argument(metavar="NAME", help=f"One of: {', '.join(DATA_SETS)}.")],
    workspace: Annotated[
        str | None, typer.Option("--workspace", "-w", help="Into which workspace (default: the data set's name).")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Load a public data set that ships with an installed package; nothing is downloaded.

    Example: recsys data load movielens-100k
    """
    with reported(as_json) as report:
        if name not in DATA_SETS:
            raise ConfigError(f"There is no data set '{name}' to load (there is: {', '.join(DATA_SETS)}).")
        from recsys.cli.data_view import treatments_view
        from recsys.data.complete_journey import complete_journey
        from recsys.data.movielens import movielens_100k
        from recsys.jobs.ingest import ingest

        loaders = dict(zip(DATA_SETS, (movielens_100k, complete_journey), strict=True))
        imported = loaders[name]()
        if imported.treatments:
            report.show(treatments_view(imported.treatments, imported.notes))
        _ingested(report, ingest(Workspace.named(workspace or name), imported))


def show(workspace: WorkspaceOption, as_json: JsonOption = False) -> None:
    """Show a workspace's schema and how much it holds.

    Example: recsys data show --workspace movielens-100k
    """
    with reported(as_json) as report:
        from recsys.cli.data_view import schema_view, summary_view
        from recsys.jobs.summary import summarise

        summary = summarise(Workspace.existing(workspace))
        report.show(schema_view(summary.schema))
        report.show(summary_view(summary))
        report.result(summary.as_dict())


def _ingested(report: Report, result: IngestResult) -> None:
    from recsys.cli.data_view import schema_view

    report.show(schema_view(result.schema))
    if result.appended == 0:
        report.show(
            f"Nothing new: of {result.read:,} events {result.already_there:,} were in '{result.workspace}' already."
        )
    else:
        there = f" ({result.already_there:,} were there already)" if result.already_there else ""
        report.show(
            f"{result.appended:,} events appended to '{result.workspace}'{there}: "
            f"{result.users:,} users, {result.items:,} items, {result.seconds:.1f} s."
        )
    if result.conflicts:
        report.show(f"{result.conflicts:,} of those say something else under the same event_id: the first stays.")
    if result.withheld:
        report.show(f"{result.withheld:,} events were left out: they happened before their users were deleted.")
    report.result(result.as_dict())
