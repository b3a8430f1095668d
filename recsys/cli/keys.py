"""`recsys keys`: who may use the service of a workspace."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from recsys.cli._run import JsonOption, WorkspaceOption, reported
from recsys.workspace import Workspace

NameOption = Annotated[str, typer.Option("--name", metavar="NAME", help="Who will hold it; used once.")]
ScopeOption = Annotated[
    list[str], typer.Option("--scope", metavar="read|write|admin", help="What it allows; may be given several times.")
]
RateOption = Annotated[
    str | None,
    typer.Option("--rate", metavar="N/s", help="How many requests it may make: 100/s, 1000/m, 5000/h."),
]


def register(app: typer.Typer) -> None:
    """Adds `keys`."""
    group = typer.Typer(no_args_is_help=True, help="API keys of the service: who may ask, tell and delete.")
    group.command("create")(create)
    group.command("list")(list_keys)
    group.command("revoke")(revoke)
    app.add_typer(group, name="keys")


def create(
    workspace: WorkspaceOption,
    name: NameOption,
    scope: ScopeOption,
    rate: RateOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key and show it, this once; a running service knows it at once.

    read: recommendations and all that only looks. write: events and items. admin: everything, deletions among it.

    Example: recsys keys create --workspace movielens-100k --name shop --scope read --rate 100/s
    """
    with reported(as_json) as report:
        from recsys.serving.edge.keys import KeyStore
        from recsys.serving.edge.scopes import parsed_scopes

        target = Workspace.existing(workspace)
        token = KeyStore(target.keys_file).create(name, parsed_scopes(scope), rate)
        report.show(f"Key '{name}' for {', '.join(scope)}. It is shown this once and kept nowhere:")
        report.show(token)
        report.result({"workspace": workspace, "name": name, "scopes": scope, "rate": rate, "key": token})


def list_keys(workspace: WorkspaceOption, as_json: JsonOption = False) -> None:
    """List the keys: names, what they allow, since when; never the keys themselves.

    Example: recsys keys list --workspace movielens-100k
    """
    with reported(as_json) as report:
        from recsys.serving.edge.keys import KeyStore

        found = KeyStore(Workspace.existing(workspace).keys_file).listed()
        table = Table(title_justify="left")
        for column in ("name", "allows", "rate", "made at"):
            table.add_column(column)
        for key in found:
            table.add_row(*(Text(cell) for cell in (key.name, ", ".join(key.scopes), key.rate or "", key.created_at)))
        report.show(table if found else "There are no keys.")
        listed = [key.model_dump(mode="json", exclude={"id", "sha256"}) for key in found]
        report.result({"workspace": workspace, "keys": listed})


def revoke(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose key.")],
    workspace: WorkspaceOption,
    as_json: JsonOption = False,
) -> None:
    """Take a key back; a running service refuses it from the next request on.

    Example: recsys keys revoke shop --workspace movielens-100k
    """
    with reported(as_json) as report:
        from recsys.serving.edge.keys import KeyStore

        KeyStore(Workspace.existing(workspace).keys_file).revoke(name)
        report.show(f"Key '{name}' opens nothing any more.")
        report.result({"workspace": workspace, "revoked": name})
