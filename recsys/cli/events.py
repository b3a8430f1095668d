"""`recsys events`: append to a workspace's event log and look into it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from recsys.cli._run import JsonOption, WorkspaceOption, reported
from recsys.errors import ConfigError, DataError
from recsys.workspace import Workspace


def register(app: typer.Typer) -> None:
    """Adds the `events` commands."""
    events = typer.Typer(no_args_is_help=True, help="Append to the event log, the truth of a workspace; look into it.")
    events.command("append")(append)
    events.command("show")(show)
    events.command("count")(count)
    events.command("export-user")(export_user)
    events.command("delete-user")(delete_user)
    events.command("prune")(prune)
    app.add_typer(events, name="events")


def append(
    workspace: WorkspaceOption,
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="Events as .parquet, .csv or .jsonl, as for data import.")
    ] = None,
    json_event: Annotated[
        str | None, typer.Option("--json-event", metavar="JSON", help="One event instead of a file.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Append events: a FILE of them, or one as JSON. Appending the same events again changes nothing.

    Example: recsys events append --workspace movielens-100k --json-event '{"user_id": "7", "item_id": "50"}'
    """
    with reported(as_json) as report:
        if (file is None) == (json_event is None):
            raise ConfigError("Give either a FILE of events or one event with --json-event.")
        from recsys.cli.data_view import treatments_view
        from recsys.jobs.append import append_event, append_file

        target = Workspace.existing(workspace)
        if file is not None:
            result = append_file(target, file)
            report.show(treatments_view(result.treatments, ()))
        else:
            result = append_event(target, _event(json_event or ""))
        report.show(
            f"{result.appended:,} events appended, {result.already_there:,} were there already; "
            f"log position {result.position:,}."
        )
        if result.conflicts:
            report.show(f"{result.conflicts:,} of those say something else under the same event_id: the first stays.")
        if result.withheld:
            report.show(f"{result.withheld:,} were left out: they happened before their users were deleted.")
        if result.unknown_items:
            report.show(f"{result.unknown_items:,} items are new: they are kept, the next training learns them.")
        report.result(result.as_dict())


def show(
    workspace: WorkspaceOption,
    user: Annotated[str | None, typer.Option("--user", help="Only this user's events.")] = None,
    last: Annotated[int, typer.Option("--last", min=1, max=1_000_000, help="How many of the newest events.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """Show the newest events of the log, oldest of them first.

    Example: recsys events show --workspace movielens-100k --user 7 --last 5
    """
    with reported(as_json) as report:
        from recsys.cli.data_view import events_view
        from recsys.data.catalogue import Catalogue
        from recsys.events.log import EventLog

        target = Workspace.existing(workspace)
        catalogue, log = Catalogue.load(target), EventLog(target.event_log)
        events = log.newest(last) if user is None else log.read([user]).tail(last)
        titles = catalogue.titles(events["item_id"].to_list())
        report.show(events_view(events, titles, catalogue.schema.clock))
        if user is not None and not events.height:
            report.show("This user has no events.")
        report.result({"events": events.to_dicts()})


def count(workspace: WorkspaceOption, as_json: JsonOption = False) -> None:
    """Count the events of the log.

    Example: recsys events count --workspace movielens-100k
    """
    with reported(as_json) as report:
        from recsys.events.log import EventLog

        log = EventLog(Workspace.existing(workspace).event_log)
        events, position = log.count(), log.position()
        report.show(f"{events:,} events; log position {position:,}.")
        report.result({"events": events, "position": position})


def export_user(
    workspace: WorkspaceOption,
    user: Annotated[str, typer.Argument(metavar="ID", help="The user's id.")],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write the lines there instead of showing them.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Hand out all that is kept of a user, as JSON lines: profile, events, impressions, rows and lists made from them.

    Example: recsys events export-user 7 --workspace movielens-100k --out user-7.jsonl
    """
    with reported(as_json) as report:
        if as_json and out is None:
            raise ConfigError("With --json give --out FILE: the lines and the result would be mixed otherwise.")
        import orjson

        from recsys.jobs.export_user import export_user as job

        records = job(Workspace.existing(workspace), user)
        lines = b"".join(orjson.dumps(record, default=str, option=orjson.OPT_APPEND_NEWLINE) for record in records)
        if out is None:
            typer.echo(lines.decode(), nl=False)
            return
        out.write_bytes(lines)
        report.show(f"{len(records):,} records of this user written to {out}.")
        report.result({"records": len(records), "file": str(out)})


def delete_user(
    workspace: WorkspaceOption,
    users: Annotated[list[str], typer.Argument(metavar="ID...", help="The ids of the users to delete.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Delete users for good: events, profile, rows, lists, impressions, down to the bytes. It cannot be undone.

    Of each a salted hash stays, so that importing an old file brings nobody back. Backups made before keep the data.

    Example: recsys events delete-user 7 --workspace movielens-100k --yes
    """
    with reported(as_json) as report:
        target = Workspace.existing(workspace)
        if not yes and not typer.confirm(f"Delete {len(set(users)):,} users from '{workspace}' for good?", err=True):
            raise typer.Abort
        from recsys.jobs.delete_users import delete_users

        result = delete_users(target, users)
        report.show(
            f"{result.users:,} users deleted with {result.events:,} events; log position {result.position:,}. "
            f"Other users' rows are made anew by: recsys features materialise --workspace {workspace}"
        )
        report.result(result.as_dict())


def prune(
    workspace: WorkspaceOption,
    older_than: Annotated[float, typer.Option("--older-than", metavar="DAYS", help="Events older than this go.")],
    keep_last: Annotated[
        int, typer.Option("--keep-last", min=0, metavar="N", help="Newest events of each user that stay anyway.")
    ] = 0,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Remove old events and impressions for good, and what is stored because of them. A scheduler runs this nightly.

    What a user has seen is forgotten with the events: items may be recommended again. Importing an old file again
    brings its events back.

    Example: recsys events prune --older-than 730 --keep-last 200 --workspace my-shop --yes
    """
    with reported(as_json) as report:
        target = Workspace.existing(workspace)
        if not yes and not typer.confirm(f"Remove old events from '{workspace}' for good?", err=True):
            raise typer.Abort
        from recsys.jobs.prune import prune as job

        result = job(target, older_than, keep_last=keep_last)
        report.show(f"{result.removed:,} events removed, {result.kept:,} are left; log position {result.position:,}.")
        if result.impressions:
            report.show(f"{result.impressions:,} impressions removed.")
        report.result(result.as_dict())


def _event(text: str) -> dict[str, object]:
    import orjson

    try:
        event = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise DataError(f"--json-event is not JSON ({error}): {text}") from error
    if not isinstance(event, dict):
        raise DataError(f"--json-event must be one JSON object with user_id and item_id, got: {text}")
    return event
