"""`recsys evaluate`: full-ranking metrics beside the baselines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from recsys.cli._run import JsonOption, WorkspaceOption, reported
from recsys.workspace import Workspace

if TYPE_CHECKING:
    from rich.table import Table

    from recsys.evaluation.report import EvaluationReport


def register(app: typer.Typer) -> None:
    """Adds `evaluate`."""
    app.command("evaluate")(evaluate)


def evaluate(
    workspace: WorkspaceOption,
    *,
    split: Annotated[
        str, typer.Option("--split", metavar="validation|test", help="A look at test is written into the ledger.")
    ] = "validation",
    version: Annotated[
        int | None, typer.Option("--version", min=1, help="Which version (default: the champion, else the latest).")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Rank each user's held-out item, or basket, among the whole catalogue, under the model and under its baselines.

    In a workspace with baskets the target is the next basket, in others the last item (leave-one-out).

    The report (JSON, Markdown, plots) has accuracy, coverage, novelty, popularity bias, groups of users, calibration,
    and what is lost under another user's head; it is kept in the workspace and with the version's MLflow run.

    Example: recsys evaluate --workspace movielens-100k --split test
    """
    with reported(as_json) as report:
        from recsys.evaluation.summary import summary
        from recsys.jobs.evaluate import evaluate as job
        from recsys.jobs.evaluate import report_paths

        target = Workspace.existing(workspace)
        found = job(target, split=split, version=None if version is None else str(version))
        report.show(metrics_table(found))
        for line in summary(found.sections):
            report.show(line)
        if split == "test":
            report.show(f"Looks at this test split before this one: {found.test_looks_before}.")
        report.show(f"Written to {report_paths(target, found)[1]}")
        report.result(found.as_dict())


def metrics_table(found: EvaluationReport) -> Table:
    """Scorers down, metrics across; the best of each column stands out."""
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=f"{found.workspace}, {found.split} split, {found.users:,} users, {found.items:,} items: {found.protocol}"
    )
    table.add_column("scorer")
    for metric in found.shown:
        table.add_column(metric, justify="right")
    rows = found.rows()
    best = [max(values[i] for _, values in rows) for i in range(len(found.shown))]
    for name, values in rows:
        cells = [Text(f"{v:.4f}", "bold" if v == best[i] else "") for i, v in enumerate(values)]
        table.add_row(_shown(name, found), *cells)
    return table


def _shown(name: str, found: EvaluationReport) -> str:
    from recsys.evaluation.full_ranking import MODEL

    return f"this model (version {found.model_version})" if name == MODEL else name
