"""A benchmark's results as Markdown: arms by protocol, unseen users, claims."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

SHOWN = ("ndcg@10", "hr@10", "ndcg@20", "hr@20", "mrr", "log_loss")
OF_BASKETS = ("recall@10",)


def markdown(
    title: str,
    rows: Sequence[Mapping[str, Any]],
    unseen: Sequence[Mapping[str, Any]],
    claims: Sequence[Mapping[str, Any]],
    notes: Sequence[str],
) -> str:
    """The page.

    Args:
        title: of the page.
        rows: one a scorer of the warm protocol: name, seeds, users, metrics (means over seeds).
        unseen: one a scorer and context length: name, context, users, ndcg@10, ndcg@10 of the warm fit, relative loss.
        claims: what `Tested.as_dict` gives.
        notes: lines below the title.
    """
    lines = [f"# {title}", "", *notes, ""]
    shown = [*SHOWN[:2], *OF_BASKETS, *SHOWN[2:]] if any(OF_BASKETS[0] in row["metrics"] for row in rows) else SHOWN
    lines += ["| scorer | seeds | " + " | ".join(shown) + " |", "| --- | ---: |" + " ---: |" * len(shown)]
    lines += [
        f"| {row['name']} | {row['seeds']} | " + " | ".join(f"{row['metrics'][name]:.4f}" for name in shown) + " |"
        for row in rows
    ]
    if unseen:
        lines += ["", "## Unseen users", "", *_unseen(unseen)]
    if claims:
        lines += ["", "## Claims", "", *_claims(claims)]
    return "\n".join(lines) + "\n"


def _unseen(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    head = [
        "NDCG@10 of users that no fit knew, beside the same targets under fits that knew them. Short of all events the "
        "latter had the target itself in training.",
        "",
        "| scorer | events of context | users | unseen | same users in training | loss |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    return head + [
        f"| {row['name']} | {row['context']} | {row['users']} | {row['ndcg@10']:.4f} | "
        f"{_or_dash(row['warm'], '.4f')} | {_or_dash(row['relative_loss'], '.1%')} |"
        for row in rows
    ]


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


def _or_dash(value: float | None, form: str) -> str:
    return "–" if value is None or math.isnan(value) else format(value, form)
