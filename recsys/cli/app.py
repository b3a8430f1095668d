"""Assembles the `recsys` command from its command modules. Knows their order and nothing of what they do."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from recsys import __version__
from recsys.cli import batch, data, doctor, evaluate, events, explain, features, promote, serve, train
from recsys.cli.environment import calm_libraries

COMMAND_MODULES = (data, events, features, train, evaluate, promote, batch, serve, explain, doctor)

# The path of the data, then what looks at it.
COMMANDS = (
    "data",
    "events",
    "features",
    "train",
    "evaluate",
    "promote",
    "rollback",
    "batch",
    "serve",
    "explain",
    "doctor",
)


class _InOrder(TyperGroup):
    """Lists the commands in the order of `COMMANDS`; typer would put those with sub-commands last."""

    def list_commands(self, ctx: Any) -> list[str]:
        return sorted(super().list_commands(ctx), key=COMMANDS.index)


def build_app() -> typer.Typer:
    """The whole command-line interface.

    Returns:
        A fresh typer application with every command registered.
    """
    app = typer.Typer(
        name="recsys",
        cls=_InOrder,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    for module in COMMAND_MODULES:
        module.register(app)
    return app


def main() -> None:
    """Entry point of the `recsys` console script: exit code 0, 1 for a failure, 2 for a mistake in the asking."""
    calm_libraries()
    build_app()()


def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Recommendations from a scoring head that is generated for each user.

    Every command takes --workspace NAME (or $RECSYS_WORKSPACE) and --json.
    Workspaces lie in ./workspaces (or $RECSYS_HOME).

    A first look: make quickstart. Something odd: recsys doctor.
    """


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"recsys {__version__}")
        raise typer.Exit
