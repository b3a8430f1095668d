"""The `recsys` command: thin; it reads arguments, calls a job, prints what the job returned."""

from __future__ import annotations


def main() -> None:
    """Entry point of the `recsys` console script. Loads the commands only now, so that one can be imported alone."""
    from recsys.cli.app import main as run

    run()
