"""The quickstart's last page: timings, metrics side by side, recommendations with reasons, where things lie."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from recsys.cli.evaluate import metrics_table
from recsys.cli.explain import explanation_table
from recsys.jobs.evaluate import report_paths
from recsys.workspace import Workspace

if TYPE_CHECKING:
    from pipelines.quickstart_service import ServiceTour
    from recsys.evaluation.report import EvaluationReport
    from recsys.jobs.batch import BatchResult
    from recsys.jobs.explain import Explanations


def page(
    console: Console,
    workspace: Workspace,
    steps: Sequence[tuple[str, str, float, bool]],
    seconds: float,
    report: EvaluationReport,
    batch: BatchResult,
    service: ServiceTour,
    explained: Explanations,
) -> None:
    """Prints the summary."""
    for table in (_timings(steps, seconds), metrics_table(report), explanation_table(explained), _served(service)):
        console.print()
        console.print(table)
    console.print()
    console.print(_places(workspace, report, batch))


def _timings(steps: Sequence[tuple[str, str, float, bool]], seconds: float) -> Table:
    table = Table(title="What was done", title_justify="left")
    table.add_column("step")
    table.add_column("seconds", justify="right")
    table.add_column("reused")
    for name, _, own, reused in steps:
        table.add_row(name, f"{own:.1f}", "yes" if reused else "")
    table.add_section()
    table.add_row("all", f"{seconds:.1f}", "")
    return table


def _served(service: ServiceTour) -> Table:
    table = Table(title="What the service answered", title_justify="left")
    table.add_column("the known user")
    table.add_column(f"after taking {service.event_title}")
    table.add_column(f"a visitor with {', '.join(service.visitor_history)}")
    for row in zip_longest(service.known, service.after, service.visitor, fillvalue=""):
        table.add_row(*(Text(cell) for cell in row))
    return table


def _places(workspace: Workspace, report: EvaluationReport, batch: BatchResult) -> Table:
    table = Table(title="Where it lies", title_justify="left", show_header=False)
    table.add_column()
    table.add_column(overflow="fold")
    for what, where in (
        ("event log", workspace.event_log),
        ("feature store", workspace.feature_store),
        ("model snapshots", workspace.snapshots),
        ("MLflow", f"mlflow ui --backend-store-uri sqlite:///{workspace.tracking_database}"),
        ("evaluation report", report_paths(workspace, report)[1]),
        ("recommendations", batch.folder),
        ("serve again", f".venv/bin/recsys serve --workspace {workspace.name}"),
        ("explain a user", f".venv/bin/recsys explain --workspace {workspace.name} --user 7"),
        ("notebook", "notebooks/01_quickstart.ipynb"),
    ):
        table.add_row(what, str(where))
    return table
