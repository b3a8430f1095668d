"""The service's figures as the table of its bars."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table


def _million_rows(million: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    ways = (
        ("retrieval, then exact head", "retrieval_then_exact_head", "p99 ≤ 30 ms, recall@100 ≥ .95"),
        ("int8 scan, then exact head", "int8_scan_then_exact_head", "beside"),
    )
    return [
        (
            f"{million['items']:,} items: {name}",
            f"p50 {million[way]['p50']} ms, p99 {million[way]['p99']} ms, recall@100 {million[way]['recall']}",
            bar,
        )
        for name, way, bar in ways
    ]


def printed(figures: Mapping[str, Any]) -> str:
    """One line a bar: what was measured, beside what, and the bar."""
    mix, heads = figures["mix"], figures["heads_in_process"]
    changed, effect, events = mix["context_just_changed"], figures["event_to_changed_ranking"], mix["events"]
    ratio, no_op = figures["highest_rate_ratio"], figures["highest_rate_no_op"]["rate"]
    rows = [
        (
            f"recommendations, mix, {mix['rate']:g}/s, hit rate {mix['hit_rate_of_all']:.0%}",
            f"p50 {mix['recommendations']['p50']} ms, p99 {mix['recommendations']['p99']} ms",
            "p50 ≤ 3 ms, p99 ≤ 20 ms",
        ),
        ("context just changed, in that mix", f"p50 {changed['p50']} ms, p99 {changed['p99']} ms", "p50 ≤ 7 ms"),
        (
            f"highest rate of the mix, beside a no-op's {no_op:g}/s",
            f"{figures['highest_rate']['rate']:g}/s, {ratio or 0:.1%}",
            "≥ 15 %",
        ),
        (
            "generated beside shared head, everything anew",
            f"{heads['anew_ratio']} x",
            "≤ 1.15 x",
        ),
        ("generated beside shared head, state and head kept", f"{heads['kept_ratio']} x", "≤ 1.15 x"),
        (
            f"event posted to changed ranking, nothing else asked, {effect['shown']} of {effect['asked']} shown",
            f"p99 {effect['p99']} ms",
            "p99 ≤ 60 ms",
        ),
        (
            "event acknowledged, under the mix",
            f"p50 {events['p50']} ms, p95 {events['p95']} ms, p99 {events['p99']} ms",
            "beside",
        ),
        ("start to ready", f"{figures['seconds_to_ready']} s", "≤ 8 s"),
        ("memory, one process, after everything", f"{figures['memory_mb']['after_everything']} MB", "≤ 800 MB"),
        *(_million_rows(figures["million_items"]) if figures["million_items"] else ()),
    ]
    model = "a trained model" if figures["trained"] else "an untrained model of the default configuration"
    table = Table("path", "measured", "bar", title=f"The service, with {model}")
    for row in rows:
        table.add_row(*row)
    console = Console(file=io.StringIO(), width=120)
    console.print(table)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return text
