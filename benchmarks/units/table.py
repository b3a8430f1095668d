"""A benchmark's results as Markdown: arms by protocol, unseen users, claims."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from recsys.evaluation.temporal import TRAINING_SHARE, VALIDATION_SHARE

SHOWN = ("ndcg@10", "hr@10", "ndcg@20", "hr@20", "mrr", "log_loss")
OF_BASKETS = ("recall@10",)


def markdown(
    title: str,
    rows: Sequence[Mapping[str, Any]],
    unseen: Sequence[Mapping[str, Any]],
    claims: Sequence[Mapping[str, Any]],
    notes: Sequence[str],
    temporal: Sequence[Mapping[str, Any]] = (),
    timed: Sequence[Mapping[str, Any]] = (),
    picture: str | None = None,
) -> str:
    """The page.

    Args:
        title: of the page.
        rows: one a scorer of the warm protocol: name, seeds, users, metrics (means over seeds).
        unseen: one a scorer and context length: name, context, users, ndcg@10, ndcg@10 of the warm fit, relative loss.
        claims: what `Tested.as_dict` gives.
        notes: lines below the title.
        temporal: one a scorer of the temporal split, as `rows`.
        timed: what `budget.points_of` gives.
        picture: file beside the page that shows them; None where there is none.
    """
    lines = [f"# {title}", "", *notes, "", *_scorers(rows)]
    if temporal:
        lines += ["", "## Temporal split", "", *_temporal(temporal)]
    if unseen:
        lines += ["", "## Unseen users", "", *_unseen(unseen)]
    if timed:
        lines += ["", "## Quality by training time", "", *_timed(timed, picture)]
    if claims:
        lines += ["", "## Claims", "", *_claims(claims)]
    return "\n".join(lines) + "\n"


def _scorers(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    shown = [*SHOWN[:2], *OF_BASKETS, *SHOWN[2:]] if any(OF_BASKETS[0] in row["metrics"] for row in rows) else SHOWN
    head = ["| scorer | seeds | " + " | ".join(shown) + " |", "| --- | ---: |" + " ---: |" * len(shown)]
    return head + [
        f"| {row['name']} | {row['seeds']} | "
        + " | ".join(or_dash(row["metrics"].get(name), ".4f") for name in shown)
        + " |"
        for row in rows
    ]


def _temporal(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    last = 1 - TRAINING_SHARE - VALIDATION_SHARE
    return [
        f"Every fit has the first {TRAINING_SHARE * 100:.0f} % of all events by time. Its users' targets are their "
        f"first events within the next {VALIDATION_SHARE * 100:.0f} % (validation) or the last {last * 100:.0f} % "
        f"(test); {rows[0]['users']:,} users have one here. Means over seeds.",
        "",
        *_scorers(rows),
    ]


def _unseen(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    head = [
        "NDCG@10 of users that no fit knew, beside the same targets under fits that knew them. Short of all events the "
        "latter had the target itself in training.",
        "",
        "| scorer | events of context | users | unseen | same users in training | loss | 95 % interval |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    return head + [
        f"| {row['name']} | {row['context']} | {row['users']} | {row['ndcg@10']:.4f} | "
        f"{or_dash(row['warm'], '.4f')} | {or_dash(row['relative_loss'], '.1%')} | "
        f"{percent_interval(row['loss_interval'])} |"
        for row in rows
    ]


def _timed(points: Sequence[Mapping[str, Any]], picture: str | None) -> list[str]:
    title = "NDCG@10 by seconds of training"
    head = [
        *([f"![{title}]({picture})", ""] if picture else []),
        "One fit a budget, as `recsys train --budget` plans it, from data in memory to a fitted model. The seconds of "
        "a model and its shared blend are of the whole run, planning included; a body's and the memory's are their "
        "own.",
        "",
        "| scorer | budget, s | epochs | seconds | ndcg@10 | hr@10 |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    return head + [
        f"| {point['scorer']} | {or_dash(point['budget'], 'g')} | {_epochs(point)} | {point['seconds']:.1f} | "
        f"{point['ndcg@10']:.4f} | {point['hr@10']:.4f} |"
        for point in points
    ]


def _epochs(point: Mapping[str, Any]) -> str:
    return "–" if point["epochs"] is None else f"{point['epochs']} of {point['configured_epochs']}"


def _claims(claims: Sequence[Mapping[str, Any]]) -> list[str]:
    head = [
        "Paired over users, seeds averaged first; 95 % bootstrap intervals; p after Holm over the claims measured.",
        "",
        "| claim | A | B | A − B | 95 % interval | p (Holm) | users | seeds | holds |",
        "| --- | ---: | ---: | ---: | --- | ---: | ---: | ---: | --- |",
    ]
    return head + [_claim(claim) for claim in claims]


def _claim(claim: Mapping[str, Any]) -> str:
    found = claim["comparison"]
    if found is None:
        return f"| {claim['name']} | | | | | | | | not measured |"
    return (
        f"| {claim['name']} | {found['mean_a']:.4f} | {found['mean_b']:.4f} | {found['difference']:+.4f} | "
        f"[{found['low']:+.4f}, {found['high']:+.4f}] | {claim['holm_p']:.4f} | {found['users']} | {found['seeds']} | "
        f"{'yes' if claim['holds'] else 'no'} |"
    )


def percent_interval(ends: Sequence[float | None] | None) -> str:
    """Two ends in percent; a dash where there are none."""
    if ends is None or None in ends:
        return "–"
    low, high = ends
    return f"[{low:.1%}, {high:.1%}]"


def or_dash(value: float | None, form: str) -> str:
    """A figure in this format; a dash where there is none."""
    return "–" if value is None or math.isnan(value) else format(value, form)


def difference(found: Mapping[str, float] | None, digits: int) -> str:
    """A difference and its interval, bold where that excludes zero; a dash where there is none.

    Args:
        found: `difference`, `low` and `high`.
        digits: behind the point.
    """
    if found is None:
        return "–"
    said = f"{found['difference']:+.{digits}f} [{found['low']:+.{digits}f}, {found['high']:+.{digits}f}]"
    return f"**{said}**" if found["low"] > 0 or found["high"] < 0 else said
