"""`recsys features report`: contexts of now beside those of the champion's training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from recsys.cli._run import JsonOption, WorkspaceOption, reported
from recsys.workspace import Workspace

if TYPE_CHECKING:
    from rich.table import Table

    from recsys.jobs.feature_report import FeatureReport


def report(
    workspace: WorkspaceOption,
    users: Annotated[int, typer.Option("--users", min=1, help="How many users a side.")] = 2_000,
    newest: Annotated[
        bool, typer.Option("--newest", help="The users of whom events came last, instead of a sample of all.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Compare live contexts with those of the champion's training, feature by feature.

    Writes JSON and HTML into the workspace's reports and files them with the champion's MLflow run.

    Example: recsys features report --workspace movielens-100k --newest
    """
    with reported(as_json) as told:
        from recsys.jobs.feature_report import feature_report

        found = feature_report(Workspace.existing(workspace), users=users, newest=newest)
        told.show(_table(found))
        rate = "none" if found.unknown_item_rate is None else f"{found.unknown_item_rate:.1%}"
        told.show(
            f"{found.users_now:,} contexts of now (log position {found.position:,}) beside {found.users_then:,} of "
            f"training ({found.trained_at_position:,}). Unknown items in a history: {rate}."
        )
        told.show(f"Report: {found.files[-1]}, and run {found.run_id} in MLflow.")
        told.result(found.as_dict())


def _table(found: FeatureReport) -> Table:
    from rich.table import Table

    from recsys.evaluation.drift_page import HEAD, cells

    table = Table(*HEAD, title=f"Features as version {found.model_version} was trained, and now")
    for drift in found.features:
        table.add_row(*cells(drift))
    return table
