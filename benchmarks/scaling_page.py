"""Puts committed results into the tables of docs/scaling.md; the words around them are written by hand.

    python -m benchmarks.scaling_page            # refreshes the tables
    python -m benchmarks.scaling_page --check    # fails where a table is not what the results say

Tables stand as `benchmarks.pages` says.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.growth import LINEAR_FROM
from benchmarks.pages import Tables, refresh
from benchmarks.scale.comparisons import COMPARISONS
from benchmarks.units.files import read_json
from benchmarks.units.table import or_dash

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "scaling.md"
EXTRAPOLATED = (10**6, 10**8)
"""Users whose cost is worked out."""
PRICE = 0.04
"""Of one processor for one hour, in dollars: about what clouds ask for one virtual core on demand."""
PROCESSORS = 64
"""Over which the wall time is spread."""
_REAL = "LensKit"
"""The comparison whose line of ours goes from feature rows to lists, on real data."""
_A_USER = "processor_milliseconds_a_user"
_FURTHER = "processor_milliseconds_a_further_user"


def growth() -> list[str]:
    """What a batch costs for more and more users."""
    lines = [
        "| users | seconds | processor s | ms a user | ms a further user | users a second | memory, GB | model, MB |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    return lines + [
        f"| {run['users']:,} | {run['seconds']:,.0f} | {run['processor_seconds']:,.0f} | "
        f"{or_dash(_a_user(run), '.2f')} | {or_dash(run.get(_FURTHER), '.2f')} | "
        f"{run['users_a_second']:,.0f} | {run['peak_gigabytes']:.2f} | "
        f"{run['model_bytes'] / 1e6:.1f} |"
        for run in _content("growth")["runs"]
    ]


def store() -> list[str]:
    """What the feature store's rows cost for more and more users."""
    lines = [
        "| users | events | appending, s | offline rows, s | online rows, s | users a second | memory, MB |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    figures = _content("features")["growth"]["figures"]
    return lines + [
        f"| {run['users']:,} | {run['users'] * figures['events_each']:,} | {run['append_seconds']:,.1f} | "
        f"{run['offline_seconds']:,.1f} | {run['online_seconds']:,.1f} | {run['users_a_second']:,} | "
        f"{run['peak_memory_mb']:,} |"
        for run in figures["runs"]
    ]


def cost() -> list[str]:
    """Time, room and money for very many users, straight on from the largest run of each benchmark."""
    grown, stored = _content("growth"), _content("features")["growth"]["figures"]
    batch, made, real = grown["runs"][-1], stored["runs"][-1], _content("batch")[_REAL]["figures"]
    a_user = _a_user(batch)
    if a_user is None:
        raise SystemExit(f"Costs need a batch for {LINEAR_FROM:,} users or more; run benchmarks/growth.py with such.")
    made_hours = 1 / made["users_a_second"] / 3_600
    real_hours = real["threads"] / real["ours"][real["judged"]["line"]]["users_a_second"] / 3_600
    spread = PROCESSORS * _busy(batch, grown["machine"]["cores"])
    events = f"{grown['events_each']} events a user"
    rows = {
        f"a batch as above ({events}, {grown['items']:,} items), processor hours": a_user / 3.6e6,
        "a batch like MovieLens-1M's (up to 200 events), store and files not counted, processor hours": real_hours,
        f"the dearer on {PROCESSORS} processors, as busy as the largest run's, hours": real_hours / spread,
        f"the dearer at ${PRICE} a processor hour, dollars": real_hours * PRICE,
        f"all rows made anew ({stored['events_each']} events a user), hours of one folding process": made_hours,
        f"event log ({events}), GB": batch["log_bytes"] / batch["users"] / 1e9,
        "offline rows, GB": batch["offline_bytes"] / batch["users"] / 1e9,
        "lists of a batch, GB": batch["list_bytes"] / batch["users"] / 1e9,
    }
    lines = [
        "| | " + " | ".join(f"{users:,} users" for users in EXTRAPOLATED) + " |",
        "| --- |" + " ---: |" * len(EXTRAPOLATED),
    ]
    return lines + [
        f"| {name} | " + " | ".join(_rounded(a_user * users) for users in EXTRAPOLATED) + " |"
        for name, a_user in rows.items()
    ]


def batch() -> list[str]:
    """Each comparison of batch recommendation: every line of ours beside the peer."""
    content = _content("batch")
    lines = [
        "| beside | what of ours | users a second, ours · theirs | ratio | NDCG@10 lost | bar | |",
        "| --- | --- | ---: | ---: | ---: | ---: | --- |",
    ]
    for name in COMPARISONS:
        if name not in content:
            continue
        figures = content[name]["figures"]
        judged, peer = figures["judged"], figures["peer"]
        theirs = or_dash(peer.get("users_a_second"), ",.0f")
        for line, ratio in figures["ratios"].items():
            counts = line == judged["line"]
            bar = f"{judged['bar']:g} | {_met(judged['met'])}" if counts else "– | "
            lines.append(
                f"| {name} | {line} | {figures['ours'][line]['users_a_second']:,.0f} · {theirs} | "
                f"{ratio['median']:.2f} | {_lost(ratio.get('ndcg_loss'))} | {bar} |"
            )
    return lines


def jobs() -> list[str]:
    """The whole job on real data, and batches over a large catalogue."""
    content = _content("batch")
    lines = [
        "| job | users | items | seconds | users a second | memory, GB |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    if "whole job" in content:
        job = content["whole job"]["figures"]
        lines.append(_job(f"`{job['command']}`", job["users"], "–", job))
    large = content.get("large catalogue", {}).get("figures", {})
    return lines + [
        _job(f"drawn catalogue, {way}", own["users"], f"{large['items']:,}", own)
        for way, own in large.items()
        if isinstance(own, Mapping) and "users_a_second" in own
    ]


def training() -> list[str]:
    """Speed of training beside others, each against its bar."""
    body, tables, workers = (_content(name) for name in ("body", "tables", "workers"))
    speeds = body["speed"]["figures"]["bars"] if "speed" in body else []
    reached = [body["quality"]["figures"]["bar"]] if "quality" in body else []
    return [
        "| what | beside | ratio | bar | |",
        "| --- | --- | ---: | ---: | --- |",
        *(_judged(f"targets a second, {held['loss']}", f"{held['peer']}'s SASRec", held) for held in speeds),
        *(_judged("seconds to NDCG@10 .165, a first memory", "RecTools' SASRec", held) for held in reached),
        _judged("a step of a table, a million rows", "`nn.Embedding(sparse=True)`", tables["bar"]),
        *(
            _judged(f"two Ray workers, {int(events):,} events a step", "one", {"ratio": found["times"], **found})
            for events, found in workers["by_batch_events"].items()
        ),
    ]


TABLES: Tables = {
    "growth": growth,
    "store": store,
    "cost": cost,
    "batch": batch,
    "jobs": jobs,
    "training": training,
}


def _busy(run: Mapping[str, Any], cores: int) -> float:
    """What part of the machine's processors a run used."""
    return float(run["processor_seconds"] / run["seconds"] / cores)


def _a_user(run: Mapping[str, Any]) -> float | None:
    """Processor milliseconds; of few users they are less than what starting differs by from time to time."""
    return float(run[_A_USER]) if run["users"] >= LINEAR_FROM else None


def _content(name: str) -> dict[str, Any]:
    content = read_json(RESULTS / f"{name}.json")
    if content is None:
        raise SystemExit(f"There is no {RESULTS / name}.json; benchmarks/README.md says what makes it.")
    return content


def _job(name: str, users: int, items: str, figures: Mapping[str, Any]) -> str:
    return (
        f"| {name} | {users:,} | {items} | {figures['seconds']:,.0f} | {figures['users_a_second']:,.0f} | "
        f"{figures['peak_gigabytes']:.2f} |"
    )


def _judged(what: str, peer: str, held: Mapping[str, Any]) -> str:
    ratio = f"{'≥ ' if held.get('at_least') else ''}{_rounded(held['ratio'], 3)}"
    bar = f"{held['bar']:g}" if held.get("bar") else "–"
    return f"| {what} | {peer} | {ratio} | {bar} | {_met(held.get('met'))} |"


def _met(met: bool | None) -> str:
    return {True: "met", False: "missed", None: ""}[met]


def _lost(value: float | None) -> str:
    return or_dash(None if value is None else round(value, 4) + 0.0, ".4f")  # no minus before nothing


def _rounded(value: float | None, digits: int = 2) -> str:
    """So many digits that count: more would pretend to know."""
    return or_dash(None if value is None else float(f"{value:.{digits}g}"), ",.10g")


if __name__ == "__main__":
    sys.exit(refresh(PAGE, TABLES, sys.argv[1:]))
