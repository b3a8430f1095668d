"""`recsys features`: fill a workspace's feature store and look into it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from recsys.cli import feature_report, feature_versions
from recsys.cli._moments import typed_moment
from recsys.cli._run import JsonOption, WorkspaceOption, reported
from recsys.errors import ConfigError
from recsys.workspace import Workspace

if TYPE_CHECKING:
    from rich.table import Table

    from recsys.context.batch import FeatureRow

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NEWEST = 10
_ORDER_START = datetime(2000, 1, 1, tzinfo=UTC)  # where workspaces without a clock count from


def register(app: typer.Typer) -> None:
    """Adds the `features` commands."""
    features = typer.Typer(no_args_is_help=True, help="Fill the feature store from the event log; look into it.")
    features.command("materialise")(materialise)
    features.command("show")(show)
    features.command("status")(status)
    feature_versions.register(features)
    features.command("report")(feature_report.report)
    app.add_typer(features, name="features")


def materialise(
    workspace: WorkspaceOption,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Remove every stored row first. Needed only when the store is damaged.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Fold the event log into feature rows: offline as of past moments, online as of now.

    Example: recsys features materialise --workspace movielens-100k
    """
    with reported(as_json) as report:
        from recsys.jobs import materialise as job

        result = job.materialise(Workspace.existing(workspace), rebuild=rebuild)
        done = "still valid, reused" if result.reused else f"written in {result.seconds:.1f} s"
        report.show(
            f"{result.users:,} users online, {result.offline_rows:,} rows of past moments offline: {done}. "
            f"Feature service {result.feature_service}, log position {result.log_position:,}."
        )
        report.result(result.as_dict())


def show(
    workspace: WorkspaceOption,
    user: Annotated[str, typer.Argument(metavar="USER", help="The user's id.")],
    at: Annotated[
        str | None,
        typer.Option(
            "--as-of",
            metavar="MOMENT",
            help="As of then, such as 1998-04-01T00:00:00Z, instead of now: only events before it count.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show all that is known of a user, as the model is given it.

    Example: recsys features show 7 --workspace movielens-100k
    """
    with reported(as_json) as report:
        moment = None if at is None else typed_moment("--as-of", at)
        from recsys.context.reader import FeastReader
        from recsys.data.catalogue import Catalogue
        from recsys.data.schema import WorkspaceSchema

        target = Workspace.existing(workspace)
        schema = WorkspaceSchema.load(target.schema_file)
        if moment is not None and not schema.clock:
            raise ConfigError(f"The workspace '{workspace}' has an order but no clock: --as-of has no meaning there.")
        reader = FeastReader(target, schema)
        row = reader.online([user])[0] if moment is None else reader.as_of([user], [moment])[0]
        newest = Catalogue.load(target).titles(row.history_items[: -_NEWEST - 1 : -1])
        report.show(_view(row, newest, schema.clock) if row.present else f"Nothing is known of the user '{user}'.")
        report.result(_plain(row))


def status(workspace: WorkspaceOption, as_json: JsonOption = False) -> None:
    """Say what the feature store holds and whether the event log has moved on.

    Example: recsys features status --workspace movielens-100k
    """
    with reported(as_json) as report:
        from recsys.jobs.feature_status import feature_status

        result = feature_status(Workspace.existing(workspace))
        report.show(result.sentence())
        report.result(result.as_dict())


def _view(row: FeatureRow, newest: list[str], clock: bool) -> Table:
    from rich.table import Table

    def when(moment: int) -> str:
        return _moment(moment, clock) if row.event_count else "never"

    table = Table(title=f"User {row.user_id}", show_header=False)
    table.add_row("positive events", f"{row.event_count:,}")
    table.add_row("items seen", f"{len(row.seen_items):,}")
    table.add_row("first event", when(row.first_event_at))
    table.add_row("last event", when(row.last_event_at))
    table.add_row("newest items", "\n".join(newest) or "none")
    for column, value in row.profile.items():
        table.add_row(column, "not known" if value is None else str(value))
    table.add_row("log sequence", f"{row.log_sequence:,}")
    return table


def _moment(microseconds: int, clock: bool) -> str:
    moment = _EPOCH + timedelta(microseconds=microseconds)
    if clock:
        return moment.strftime("%Y-%m-%d %H:%M:%S UTC")
    return f"position {(moment - _ORDER_START) // timedelta(seconds=1):,}"


def _plain(row: FeatureRow) -> dict[str, object]:
    return {name: getattr(row, name) for name in row.__slots__}
