"""Puts the committed results into the tables of docs/results.md; the words around them are written by hand.

    python -m benchmarks.results_page            # refreshes the tables
    python -m benchmarks.results_page --check    # fails where a table is not what the results say

Tables stand as `benchmarks.pages` says.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import results_time
from benchmarks.pages import Tables, refresh
from benchmarks.units.claims import CONTROLS, FINE_TUNED, HEAD_KINDS, SHARED, fed_mean, fed_others, head
from benchmarks.units.files import read_json
from benchmarks.units.table import difference, or_dash, percent_interval

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "quality"
PAGE = ROOT / "docs" / "results.md"
DATA = {
    "ml-1m": "MovieLens-1M",
    "beauty": "Amazon Beauty",
    "toys": "Amazon Toys",
    "complete-journey": "Complete Journey",
}
CLOCKED = {"movielens-100k": "MovieLens-100K"}
"""Data whose events have a clock, one target each."""
SPLITS = ("validation", "test")
PUBLISHED = {
    "ml-1m": ".1893/.3294 HSTU-large",
    "beauty": ".0531/.0921 SASRec + sampled softmax",
    "toys": ".0580/.0970 SASRec + sampled softmax",
}
"""NDCG@10/HR@10, the best that we know of under full ranking of the same events and the same split."""
OURS = ("head: ", "expert: ", "control: ", SHARED, FINE_TUNED)


def result(workspace: str, split: str, unit: str) -> dict[str, Any] | None:
    """The figures of a unit; None where it has not run."""
    content = read_json(RESULTS / workspace / split / f"{unit}.json")
    return None if content is None else content["figures"]


def overview() -> list[str]:
    """Every data set on its test split: the best baseline, the best expert, the blend, the shipped head."""
    lines = [
        "| data | best other method | best expert alone | shared blend | generated head | kind | best published |",
        "| --- | --- | --- | ---: | ---: | --- | --- |",
    ]
    for workspace, title in DATA.items():
        scorers, kind = _scorers(workspace, "test"), _kind(workspace, "test")
        if not scorers or kind is None:
            continue
        second = "recall@10" if "recall@10" in scorers[SHARED] else "hr@10"
        others = [name for name in scorers if not name.startswith(OURS)]
        experts = [name for name in scorers if name.startswith("expert: ")]
        cells = [_named(scorers, others, second), _named(scorers, experts, second)]
        cells += [_pair(scorers[SHARED], second), _pair(scorers[head(kind)], second)]
        lines.append(f"| {title} | {' | '.join(cells)} | {kind} | {PUBLISHED.get(workspace, '–')} |")
    return lines


def heads(split: str) -> list[str]:
    """Every kind of head against the blend, other contexts and the controls."""
    against = {
        SHARED: "the blend",
        "others": "others' contexts",
        "mean": "the mean context",
        CONTROLS[0]: "a shared matrix",
        CONTROLS[1]: "concatenation",
    }
    lines = [
        "| data | kind | measure | " + " | ".join(against.values()) + " |",
        "| --- | --- | --- |" + " ---: |" * len(against),
    ]
    for workspace, title in DATA.items():
        found = result(workspace, split, "summary") or {}
        compared = {(own["a"], own["b"], own["metric"]): own for own in found.get("heads", ())}
        for kind in HEAD_KINDS:
            own = head(kind)
            others = [{"others": fed_others(own), "mean": fed_mean(own)}.get(other, other) for other in against]
            for metric, name, digits in (("ndcg@10", "NDCG@10", 4), ("log_loss", "log-loss", 3)):
                cells = [difference(compared.get((own, other, metric)), digits) for other in others]
                if any(cell != "–" for cell in cells):
                    lines.append(f"| {title} | {kind} | {name} | {' | '.join(cells)} |")
    return lines


def kinds() -> list[str]:
    """Kinds of heads that act on the state against gains, on both splits."""
    lines = [
        "| data | split | kind | NDCG@10 against gains | log-loss against gains |",
        "| --- | --- | --- | ---: | ---: |",
    ]
    for workspace, title in DATA.items():
        for split in SPLITS:
            found = (result(workspace, split, "summary") or {}).get("heads", ())
            beside = {(own["a"], own["metric"]): own for own in found if own["b"] == head("gains")}
            for kind in HEAD_KINDS[1:]:
                quality, loss = (beside.get((head(kind), metric)) for metric in ("ndcg@10", "log_loss"))
                if quality or loss:
                    lines.append(f"| {title} | {split} | {kind} | {difference(quality, 4)} | {difference(loss, 3)} |")
    return lines


def unseen(split: str) -> list[str]:
    """NDCG@10 of users that no fit knew, by how many events are known."""
    lines = [
        "| data | events | scorer | users | unseen | the same users in training | loss | 95 % interval |",
        "| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for workspace, title in DATA.items():
        rows = (result(workspace, split, "summary") or {}).get("unseen", ())
        lines += [
            f"| {title} | {row['context']} | {row['name']} | {row['users']:,} | {row['ndcg@10']:.4f} | "
            f"{or_dash(row['warm'], '.4f')} | {or_dash(row['relative_loss'], '.1%')} | "
            f"{percent_interval(row.get('loss_interval'))} |"
            for row in rows
            if row["context"] in ("0", "3", "10", "all")
        ]
    return lines


def calibration() -> list[str]:
    """Means over seeds of the error of calibration over the base rate, and of the Brier skill."""
    lines = [
        "| data | split | kind | item: error / base rate | Brier skill | list: error / base rate | Brier skill |",
        "| --- | --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for workspace, title in DATA.items():
        for split in SPLITS:
            found = result(workspace, split, "calibration")
            if found is not None:
                seeds = list(found["by_seed"].values())
                cells = [
                    f"{_mean(seeds, part, 'ece_over_base_rate'):.1%} | {_mean(seeds, part, 'brier_skill'):.3f}"
                    for part in ("item", "list")
                ]
                lines.append(f"| {title} | {split} | {found['kind']} | {' | '.join(cells)} |")
    return lines


TABLES: Tables = {
    "overview": overview,
    "heads-test": lambda: heads("test"),
    "heads-validation": lambda: heads("validation"),
    "kinds": kinds,
    "unseen-test": lambda: unseen("test"),
    "calibration": calibration,
    "temporal": lambda: results_time.temporal(result, CLOCKED),
    "budget": lambda: results_time.budget(result, DATA),
    "training": lambda: results_time.training(RESULTS.parent, DATA),
}


def _scorers(workspace: str, split: str) -> dict[str, dict[str, float]]:
    found = result(workspace, split, "summary")
    return {} if found is None else {row["name"]: row["metrics"] for row in found["scorers"]}


def _kind(workspace: str, split: str) -> str | None:
    found = result(workspace, split, "heads")
    return None if found is None else str(found["config"]["head"]["kind"])


def _named(scorers: Mapping[str, Mapping[str, float]], names: Sequence[str], second: str) -> str:
    if not names:
        return "–"
    best = max(names, key=lambda name: scorers[name]["ndcg@10"])
    return f"{_pair(scorers[best], second)} {best.removeprefix('expert: ')}"


def _pair(metrics: Mapping[str, float], second: str) -> str:
    return f"{_short(metrics['ndcg@10'])}/{_short(metrics[second])}"


def _short(value: float) -> str:
    return f"{value:.4f}".removeprefix("0")


def _mean(seeds: Sequence[Mapping[str, Any]], part: str, figure: str) -> float:
    return float(sum(seed[part][figure] for seed in seeds) / len(seeds))


if __name__ == "__main__":
    sys.exit(refresh(PAGE, TABLES, sys.argv[1:]))
