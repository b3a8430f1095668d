"""`recsys batch`: recommendations for many users, as files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recsys.cli._filters import typed_filters
from recsys.cli._moments import typed_moment
from recsys.cli._run import JsonOption, WorkspaceOption, reported
from recsys.workspace import Workspace

if TYPE_CHECKING:
    from rich.progress import Task

    from recsys.jobs.batch import BatchResult

EVERYBODY = "all"
_PERIOD = 600.0
"""Seconds that rate and time left are reckoned from: partitions come seldom."""


class FileFormat(StrEnum):
    """What `--format` takes."""

    PARQUET = "parquet"
    CSV = "csv"
    JSONL = "jsonl"


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("batch")(batch)


def batch(
    workspace: WorkspaceOption,
    *,
    k: Annotated[int, typer.Option("--k", help="How many items a user.")] = 20,
    users: Annotated[
        str,
        typer.Option("--users", metavar="all|FILE", help="Whom: .parquet or .csv with user_id, or one id a line."),
    ] = EVERYBODY,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Where to; else a folder of its own in the workspace.")
    ] = None,
    as_of: Annotated[
        str | None,
        typer.Option(
            "--as-of", metavar="MOMENT", help="Contexts as of then, such as 1998-04-01T00:00:00Z; else the last event."
        ),
    ] = None,
    filters: Annotated[
        list[str] | None,
        typer.Option("--filter", metavar="JSON", help='Only items like {"column": "year", "op": ">=", "value": 1990}.'),
    ] = None,
    exclude_items: Annotated[
        Path | None, typer.Option("--exclude-items", metavar="FILE", help="Leave these item ids out.")
    ] = None,
    include_only: Annotated[
        Path | None, typer.Option("--include-only", metavar="FILE", help="Choose among these item ids.")
    ] = None,
    form: Annotated[FileFormat, typer.Option("--format", help="Of the files.")] = FileFormat.PARQUET,
    as_json: JsonOption = False,
) -> None:
    """Recommend for every user with the champion, on Ray Data, as partitioned files and a _SUCCESS file.

    Contexts come from the offline store, by default as of just after the last event. A run that was cut short goes on
    where it stopped; a run with nothing new to do writes nothing. --filter may be given many times: items meet all.

    Example: recsys batch --workspace movielens-100k --k 20
    """
    with reported(as_json) as report:
        moment = None if as_of is None else typed_moment("--as-of", as_of)
        conditions = typed_filters(filters or [])
        from recsys.jobs.batch import batch as run_batch
        from recsys.jobs.batch_rules import Wishes

        with _progress(report.as_json) as on_progress:
            result = run_batch(
                Workspace.existing(workspace),
                k=k,
                users_file=None if users == EVERYBODY else Path(users),
                out=out,
                as_of=moment,
                wishes=Wishes(conditions, exclude_items, include_only),
                form=form.value,
                on_progress=on_progress,
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
        f"{result.partitions} file(s){kept}: {result.folder}"
    )


@contextmanager
def _progress(as_json: bool) -> Iterator[Callable[[int, int], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
    from rich.text import Text

    class Rate(ProgressColumn):
        """What this run makes, without what it found made."""

        def render(self, task: Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text("" if speed is None else f"{speed:,.0f} users/s", "progress.data.speed")

    shown = (TextColumn("users"), BarColumn(), MofNCompleteColumn(), Rate(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*shown, console=console, transient=True, disable=as_json, speed_estimate_period=_PERIOD) as bar:
        task = bar.add_task("users", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
