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


def _event(text: str) -> dict[str, object]:
    import orjson

    try:
        event = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise DataError(f"--json-event is not JSON ({error}): {text}") from error
    if not isinstance(event, dict):
        raise DataError(f"--json-event must be one JSON object with user_id and item_id, got: {text}")
    return event
