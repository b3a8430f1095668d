"""`recsys refresh`: a version that knows the newest events, without a training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from recsys.cli._run import JsonOption, WorkspaceOption, reported
from recsys.workspace import Workspace

if TYPE_CHECKING:
    from recsys.jobs.refresh import Refreshed


def register(app: typer.Typer) -> None:
    """Adds `refresh`."""
    app.command("refresh")(refresh)


def refresh(workspace: WorkspaceOption, as_json: JsonOption = False) -> None:
    """Register a version with the champion's body and heads, its closed-form experts fitted on the log as it is now.

    Counts behind the memories are kept and follow the log, so that only what changed is counted. Items that the
    champion does not know wait for the next training. Nothing is promoted: see `recsys promote`.

    Example: recsys refresh --workspace movielens-100k
    """
    with reported(as_json) as report:
        from recsys.cli.bars import Bars
        from recsys.jobs.refresh import refresh as job

        with Bars() as progress:
            found = job(Workspace.existing(workspace), progress=progress)
        report.show(_summary(found))
        report.result(found.as_dict())


def _summary(found: Refreshed) -> str:
    done, own = found.trained, found.trained.metrics["validation"]
    counted = "all events were counted" if found.counted_whole else "only what changed was counted"
    return (
        f"Registered version {done.model_version} of recsys-{done.workspace} after {done.seconds:.0f} s: body and "
        f"heads of version {found.champion}, {counted}.\n"
        f"Validation: NDCG@10 {own['ndcg@10']:.4f}, HR@10 {own['hr@10']:.4f}.\n"
        f"Make it the champion with: recsys promote --workspace {done.workspace}"
    )
