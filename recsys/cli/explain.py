"""`recsys explain`: why the champion recommends what it recommends to one user."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from recsys.cli._run import JsonOption, WorkspaceOption, reported
from recsys.workspace import Workspace

if TYPE_CHECKING:
    from recsys.jobs.explain import Explained, Explanations

_REASONS = 2
_ORIGIN = ("trained_at", "log_position", "data_fingerprint", "code_version", "code_commit")
"""What of a model's lineage people read; --json has all of it."""


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("explain")(explain)


def explain(
    workspace: WorkspaceOption,
    user: Annotated[str, typer.Option("--user", "-u", help="A user that the workspace knows.")],
    k: Annotated[int, typer.Option("--k", help="How many items.")] = 10,
    as_json: JsonOption = False,
) -> None:
    """Show a user's history beside the champion's recommendations, and why each is there.

    An expert's share is its part of the score; the shares sum to the score.

    Example: recsys explain --workspace movielens-100k --user 196 --k 10
    """
    with reported(as_json) as report:
        from recsys.jobs.explain import explain as run_explain

        found = run_explain(Workspace.existing(workspace), user, k=k)
        report.show(explanation_table(found))
        report.show(_origin(found))
        report.result(found.as_dict())


def explanation_table(found: Explanations) -> Table:
    """History, recommendations and reasons side by side, one row a place."""
    table = Table(title=f"User {found.user_id}, {found.events} events", title_justify="left")
    for name in ("newest in the history", "#", "recommended", "score", "experts' shares", "because of"):
        table.add_column(name, justify="right" if name in ("#", "score") else "left")
    for place, (past, item) in enumerate(zip_longest(found.history, found.recommendations), start=1):
        cells = [past[1] if past else "", *(_cells(place, item) if item else [""] * 5)]
        table.add_row(*(Text(cell) for cell in cells))
    return table


def _cells(place: int, item: Explained) -> list[str]:
    shares = sorted(item.experts.items(), key=lambda share: -abs(share[1]))
    return [
        str(place),
        item.title,
        f"{item.score:.3f}",
        ", ".join(f"{name} {share:+.2f}" for name, share in shares),
        ", ".join(because.title for because in item.because[:_REASONS]),
    ]


def _origin(found: Explanations) -> Text:
    lineage = {**found.lineage, "data_fingerprint": str(found.lineage.get("data_fingerprint", "unknown"))[:12]}
    told = [f"{name.replace('_', ' ')} {lineage[name]}" for name in _ORIGIN if name in lineage]
    features = f"features {found.feature_service} up to event {found.features_up_to}"
    return Text(
        f"Model version {found.model_version} (content {found.content_hash[:12]}); {features}; {', '.join(told)}"
    )
