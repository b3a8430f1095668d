"""What every command shares: --workspace, --json, one clear message instead of a traceback, the exit code."""

from __future__ import annotations

import os
import sqlite3
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated

import orjson
import typer
from rich.console import Console, RenderableType
from rich.text import Text

from recsys.errors import RecsysError

WorkspaceOption = Annotated[
    str, typer.Option("--workspace", "-w", envvar="RECSYS_WORKSPACE", help="Which data set to work on.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print a machine-readable last line.")]

# Ids and titles come from people's data: "[/]" or ":x:" in them is text, never markup.
_console = Console(stderr=False, soft_wrap=True, markup=False, emoji=False)
_errors = Console(stderr=True, soft_wrap=True, markup=False, emoji=False)


class Report:
    """Collects what a command says: text for people as it goes, one JSON object as the last line."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self._result: Mapping[str, object] = {}

    def show(self, renderable: RenderableType) -> None:
        """Prints for people: to stdout, or to stderr when stdout is for machines."""
        (_errors if self.as_json else _console).print(renderable)

    def result(self, result: Mapping[str, object]) -> None:
        """Keeps what --json prints as the last line of stdout."""
        self._result = result

    def finish(self) -> None:
        if self.as_json:
            sys.stdout.write(orjson.dumps(self._result, default=str).decode() + "\n")
            sys.stdout.flush()


@contextmanager
def reported(as_json: bool) -> Iterator[Report]:
    """Runs a command's body; turns every error into one message and an exit code.

    A RecsysError ends with its own exit code (2: a user's mistake, 1: a failure). Anything else is a defect of
    ours: exit code 1, the error's one line, and how to see the traceback.
    """
    report = Report(as_json)
    try:
        yield report
        report.finish()
    except RecsysError as error:
        _fail(as_json, type(error).__name__, str(error), error.exit_code)
    except (typer.Exit, typer.Abort):
        raise
    except KeyboardInterrupt:
        _fail(as_json, "Interrupted", "Interrupted; nothing half-written was kept.", 130)
    except BrokenPipeError:
        raise
    except (OSError, sqlite3.OperationalError) as error:
        _show_trace()
        _fail(as_json, type(error).__name__, _refused(error), 1)
    except Exception as error:
        _show_trace()
        _fail(
            as_json,
            type(error).__name__,
            f"Something failed that should not: {type(error).__name__}: {error}. "
            "Run again with RECSYS_DEBUG=1 to see where, and `recsys doctor` to check the environment.",
            1,
        )


def machine_error(kind: str, message: str, code: int) -> None:
    """Prints an error as --json promises it: the last line of stdout."""
    sys.stdout.write(orjson.dumps({"error": kind, "message": message, "exit_code": code}).decode() + "\n")
    sys.stdout.flush()


def _fail(as_json: bool, kind: str, message: str, code: int) -> None:
    _errors.print(Text.assemble(("error:", "bold red"), f" {message}"))
    if as_json:
        machine_error(kind, message, code)
    raise typer.Exit(code)


def _refused(error: OSError | sqlite3.OperationalError) -> str:
    """What the operating system or a database file refused, in a sentence."""
    names = [str(name) for name in (getattr(error, "filename", None), getattr(error, "filename2", None)) if name]
    what = getattr(error, "strerror", None) or str(error)
    return (
        f"{f'{names[-1]}: ' if names else ''}{what}. Look whether it exists, may be read and written, and has room; "
        "workspaces lie in ./workspaces, or where $RECSYS_HOME says."
    )


def _show_trace() -> None:
    if os.environ.get("RECSYS_DEBUG"):
        traceback.print_exc()
