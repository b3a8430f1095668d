"""`recsys compare`: champion against challenger on live users."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from recsys.cli._run import JsonOption, WorkspaceOption, reported
from recsys.workspace import Workspace

if TYPE_CHECKING:
    from recsys.evaluation.experiment_report import ExperimentReport, MetricComparison
    from recsys.jobs.compare import Compared
    from recsys.jobs.compare_shadow import ShadowSummary

_SAID = {
    "better": "the challenger is better",
    "worse": "the challenger is worse",
    "mixed": "better by one figure and worse by another",
    "no_difference": "no difference that matters",
    "too_little_data": "too little data",
}
_NAMES = {
    "click_through": "replies of which an item was taken",
    "reciprocal_rank": "reciprocal rank of what was taken",
    "user_click_through": "the same, each user counting once",
}


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("compare")(compare)


def compare(
    workspace: WorkspaceOption,
    *,
    champion: Annotated[
        str | None, typer.Option("--from", metavar="VERSION", help="The champion (default: of the newest experiment).")
    ] = None,
    challenger: Annotated[str | None, typer.Option("--to", metavar="VERSION", help="The challenger.")] = None,
    within: Annotated[
        float, typer.Option("--within", metavar="HOURS", help="How long after a reply an event counts as its outcome.")
    ] = 24.0,
    detect: Annotated[
        float,
        typer.Option("--detect", metavar="SHARE", help="Smallest difference that matters, of the champion's figure."),
    ] = 0.1,
    shadow: Annotated[
        bool, typer.Option("--shadow", help="How far the challenger in the shadow (serve --shadow) agreed, instead.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Compare champion and challenger on the users between whom `recsys serve --split` divided them.

    Replies are joined with the events that name them (request_id), else with the same user's later events on the
    items shown. Differences are tested over users; where there are too few, it says how many it takes. Decide on that
    number beforehand: who looks daily and stops at the first good day finds differences that are not there.

    Example: recsys compare --workspace my-shop --within 24
    """
    with reported(as_json) as report:
        target = Workspace.existing(workspace)
        if shadow:
            from recsys.jobs.compare_shadow import compare_shadow

            summary = compare_shadow(target, champion=champion, challenger=challenger)
            report.show(_shadow_view(summary))
            report.result(summary.as_dict())
            return
        from recsys.jobs.compare import compare as job

        found = job(target, champion=champion, challenger=challenger, within_hours=within, detect=detect)
        report.show(_heading(found))
        report.show(_arms_table(found.report))
        if found.report.metrics:
            report.show(_metrics_table(found))
        report.show(Text(_verdict(found)))
        report.result(found.as_dict())


def _shadow_view(found: ShadowSummary) -> Table:
    title = f"Version {found.challenger_version} in the shadow of version {found.champion_version}"
    table = Table(title=title, title_justify="left", show_header=False)
    told = {
        "requests": f"{found.requests:,}",
        "the challenger failed": f"{found.failures:,}",
        "items in both lists": _or_none(found.overlap, "{:.1%}"),
        "same item first": _or_none(found.same_first, "{:.1%}"),
        "rank correlation (Kendall) of those in both": _or_none(found.correlation, "{:.3f}"),
        "champion's scoring, p50 and p95": _milliseconds(found.champion_p50_ms, found.champion_p95_ms),
        "challenger's scoring, p50 and p95": _milliseconds(found.challenger_p50_ms, found.challenger_p95_ms),
    }
    for name, value in told.items():
        table.add_row(name, Text(value, justify="right"))
    return table


def _or_none(value: float | None, form: str) -> str:
    return "none" if value is None else form.format(value)


def _milliseconds(*times: float | None) -> str:
    return " · ".join(_or_none(time, "{:.1f} ms") for time in times)


def _heading(found: Compared) -> Text:
    left_out = f" {found.left_out:,} earlier replies under another share are left out." if found.left_out else ""
    versions = f"Version {found.challenger_version} against version {found.champion_version}"
    return Text(f"{versions}, given to {found.share:.1%} of users, {found.first_at} to {found.last_at}.{left_out}")


def _arms_table(report: ExperimentReport) -> Table:
    table = Table(title_justify="left")
    columns = ("arm", "users", "of them visitors' requests", "replies", "taken of", "named by events", "substituted")
    for name in columns:
        table.add_column(name, justify="left" if name == "arm" else "right")
    for arm in report.arms:
        counts = (arm.users, arm.visitors, arm.impressions, arm.taken, arm.named, arm.substituted)
        table.add_row(arm.arm, *(f"{count:,}" for count in counts))
    return table


def _metrics_table(found: Compared) -> Table:
    table = Table(title=f"Outcomes within {found.within_hours:g} hours", title_justify="left")
    for name in ("figure", "champion", "challenger", "difference [95 %]", "p (Holm)", "", "users needed"):
        table.add_column(name, justify="left" if name in ("figure", "") else "right")
    for metric in found.report.metrics:
        table.add_row(*(Text(cell) for cell in _cells(metric)))
    return table


def _cells(metric: MetricComparison) -> list[str]:
    return [
        _NAMES[metric.metric],
        f"{metric.champion:.4f}",
        f"{metric.challenger:.4f}",
        f"{metric.difference:+.4f} [{metric.low:+.4f}, {metric.high:+.4f}]",
        f"{metric.p_value:.4f}",
        _SAID[metric.verdict],
        "unknown" if metric.users_needed is None else f"{metric.users_needed:,}",
    ]


def _verdict(found: Compared) -> str:
    said = f"Verdict: {_SAID[found.report.verdict]}."
    if found.report.verdict != "too_little_data":
        return said
    users, needed = sum(arm.users for arm in found.report.arms), found.report.users_needed
    if needed is None:
        return f"{said} Nothing was taken so far, so nobody can say how many users it takes; there are {users:,}."
    difference = f"a difference of {found.detect:.0%} of the champion's figures"
    if users < needed:
        return f"{said} There are {users:,} users; {difference} takes about {needed:,}."
    return (
        f"{said} There are {users:,} users, as many as {difference} usually takes ({needed:,}), and it is neither seen "
        "nor ruled out, or an arm has too few users or too few who took anything. Go on to a larger number, fixed now."
    )
