"""`recsys features migrate`, `versions` and `drop`: a new version of the features beside those that serve."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from recsys.cli._run import JsonOption, WorkspaceOption, reported
from recsys.workspace import Workspace

if TYPE_CHECKING:
    from rich.table import Table

    from recsys.jobs.feature_versions import StoredVersion


def register(features: typer.Typer) -> None:
    """Adds the commands about versions to the group `features`."""
    features.command("migrate")(migrate)
    features.command("versions")(versions)
    features.command("drop")(drop)


def migrate(workspace: WorkspaceOption, as_json: JsonOption = False) -> None:
    """Make the features' present version from the event log, while older ones keep serving.

    Needed after an upgrade of recsys or a change of workspace.toml that changes what a feature row holds.

    Example: recsys features migrate --workspace movielens-100k
    """
    with reported(as_json) as report:
        from recsys.jobs import feature_versions as job

        target = Workspace.existing(workspace)
        done = job.migrate(target)
        if done.older:
            report.show(_table(list(done.older)))
        made = done.materialised
        report.show(
            f"{made.feature_service} has {made.users:,} users online and {made.offline_rows:,} rows of past moments, "
            f"{'as before' if made.reused else 'made from the log'}. Models of other versions keep theirs. Next: "
            f"recsys train, recsys promote, then recsys features drop VERSION --workspace {workspace}"
        )
        report.result(done.as_dict())


def versions(workspace: WorkspaceOption, as_json: JsonOption = False) -> None:
    """List the versions of the features that the store holds, and what is different in the present one.

    Example: recsys features versions --workspace movielens-100k
    """
    with reported(as_json) as report:
        from recsys.jobs import feature_versions as job

        found = job.versions(Workspace.existing(workspace))
        report.show(_table(found))
        report.result({"versions": [one.as_dict() for one in found]})


def drop(
    workspace: WorkspaceOption,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="Its service's name, or the digits at its end.")],
    force: Annotated[
        bool, typer.Option("--force", help="Though a rollback, the challenger or a running process would need it.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Remove a version of users' or items' rows, with all of them; not the present one, nor the champion's.

    Example: recsys features drop 0123456789ab --workspace movielens-100k
    """
    with reported(as_json) as report:
        from recsys.jobs import feature_versions as job

        dropped = job.drop(Workspace.existing(workspace), version, force=force)
        lost = "Models that read it can no longer be served." if dropped.rows == "users" else "No model read them."
        report.show(f"{dropped.service} and its rows are gone. {lost}")
        report.result(dropped.as_dict())


def _table(found: list[StoredVersion]) -> Table:
    from rich.table import Table

    table = Table("service", "rows of", "read by", "different in the present version", title="Versions of the features")
    for one in found:
        readers = ", ".join(["the champion"] * one.champion + ["the present schema"] * one.present)
        table.add_row(one.service, one.rows, readers, "\n".join(one.changes) or "nothing")
    return table
