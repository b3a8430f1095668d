"""Assembles the `recsys` command from its command modules. Knows their order and nothing of what they do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from recsys import __version__
from recsys.cli import (
    backup,
    batch,
    compare,
    data,
    doctor,
    evaluate,
    events,
    experts,
    explain,
    features,
    keys,
    models,
    promote,
    refresh,
    serve,
    train,
    tune,
)
from recsys.cli._run import machine_error
from recsys.cli.environment import calm_libraries

COMMAND_MODULES = (
    data,
    events,
    features,
    experts,
    tune,
    train,
    refresh,
    evaluate,
    promote,
    models,
    batch,
    keys,
    serve,
    compare,
    explain,
    backup,
    doctor,
)

# The path of the data, then what looks at it.
COMMANDS = (
    "data",
    "events",
    "features",
    "experts",
    "tune",
    "train",
    "refresh",
    "evaluate",
    "promote",
    "rollback",
    "models",
    "gc",
    "batch",
    "keys",
    "serve",
    "compare",
    "explain",
    "backup",
    "restore",
    "doctor",
)


_AS_JSON = "recsys.as_json"


class _InOrder(TyperGroup):
    """Lists the commands in the order of `COMMANDS`; typer would put those with sub-commands last.

    It also gives --json its last line where typer refuses the call before a command begins.
    """

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        as_json = "--json" in args
        with _refusals_as_json(as_json):
            _refuse_what_is_no_text(args)
            context = super().make_context(info_name, args, parent, **extra)
        context.meta[_AS_JSON] = as_json
        return context

    def invoke(self, ctx: Any) -> Any:
        with _refusals_as_json(ctx.meta[_AS_JSON]):
            return super().invoke(ctx)

    def list_commands(self, ctx: Any) -> list[str]:
        return sorted(super().list_commands(ctx), key=COMMANDS.index)


@contextmanager
def _refusals_as_json(as_json: bool) -> Iterator[None]:
    try:
        yield
    except TyperException as error:
        if as_json:
            machine_error("UsageError", error.format_message(), error.exit_code)
        raise


def _refuse_what_is_no_text(arguments: list[str]) -> None:
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError:
            raise typer.BadParameter(f"{argument!a} is not UTF-8 text.") from None


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
