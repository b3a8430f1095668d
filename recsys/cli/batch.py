"""`recsys batch`: recommendations for many users, as parquet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recsys.cli._moments import typed_moment
from recsys.cli._run import JsonOption, WorkspaceOption, reported
from recsys.workspace import Workspace

if TYPE_CHECKING:
    from recsys.jobs.batch import BatchResult


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("batch")(batch)


def batch(
    workspace: WorkspaceOption,
    k: Annotated[int, typer.Option("--k", help="How many items a user.")] = 20,
    users: Annotated[
        Path | None,
        typer.Option("--users", metavar="FILE", help="Only these: .parquet or .csv with user_id, or one id a line."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Where to; else a folder of its own in the workspace.")
    ] = None,
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", metavar="MOMENT", help="Contexts as of then, such as 1998-04-01T00:00:00Z; else now."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Recommend for every user with the champion, on Ray Data, as partitioned parquet with a _SUCCESS file.

    Contexts come from the offline store, by default as of just after the last event. A run that was cut short goes on
    where it stopped; a run with nothing new to do writes nothing.

    Example: recsys batch --workspace movielens-100k --k 20
    """
    with reported(as_json) as report:
        moment = None if as_of is None else typed_moment("--as-of", as_of)
        from recsys.jobs.batch import batch as run_batch

        with _progress(report.as_json) as on_progress:
            result = run_batch(
                Workspace.existing(workspace), k=k, users_file=users, out=out, as_of=moment, on_progress=on_progress
            )
        report.show(_sentence(result))
        report.result(result.as_dict())


def _sentence(result: BatchResult) -> str:
    kept = f", {result.kept_partitions} of them kept from an earlier run" if result.kept_partitions else ""
    unknown = (
        f" {result.unknown_users:,} users are unknown and got what suits everybody." if result.unknown_users else ""
    )
    future = f" {result.future_users:,} have events from the future, left out." if result.future_users else ""
    return (
        f"{result.rows:,} recommendations for {result.users:,} users by model version {result.model_version}, as of "
        f"{result.as_of}, in {result.seconds:.1f} s.{unknown}{future}\n"
        f"{result.partitions} parquet file(s){kept}: {result.folder}"
    )


@contextmanager
def _progress(as_json: bool) -> Iterator[Callable[[int, int], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("users"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=as_json) as bar:
        task = bar.add_task("users", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
