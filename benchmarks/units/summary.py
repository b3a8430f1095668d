"""The unit that puts all results of a workspace and split side by side: means over seeds, claims, one Markdown page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.units.arms import WARM, Arm, load_arm
from benchmarks.units.bench import Bench
from benchmarks.units.budget import BUDGET
from benchmarks.units.claims import HEAD_KINDS, by_scorer, default_claims, head, head_comparisons, judge_claims
from benchmarks.units.files import read_json, write_text
from benchmarks.units.heads import configuration
from benchmarks.units.table import markdown
from benchmarks.units.temporal import TEMPORAL
from benchmarks.units.unit import Unit, UnitRun
from benchmarks.units.unseen import protocol_name
from recsys.errors import ConfigError
from recsys.evaluation.unseen import CONTEXT_LENGTHS, context_name, relative_loss, relative_loss_interval
from recsys.metrics.ranking import ndcg

SUMMARY = "summary"


def run_summary(run: UnitRun) -> Mapping[str, object]:
    """Reads every finished unit; writes `summary.md` beside the results."""
    found = other_results(run.bench)
    results = up_to_date(found)
    if not results:
        raise ConfigError(f"There is nothing to sum up in {run.bench.results_folder} yet: run some units first.")
    arms = [load_arm(run.bench.arms_folder, entry) for result in results for entry in result["arms"]]
    groups = by_scorer(arms)
    warm, temporal = (scorer_rows(groups, protocol) for protocol in (WARM, TEMPORAL))
    unseen = unseen_rows(groups)
    claims = [one.as_dict() for one in judge_claims(default_claims(configuration(run.bench).head.kind), arms)]
    title = f"{run.bench.workspace.name}: {run.bench.split} split"
    timed: Mapping[str, Any] = next((result["figures"] for result in results if result["unit"] == BUDGET.name), {})
    picture = timed.get("picture")
    shown = picture if picture and (run.bench.results_folder / picture).is_file() else None
    notes = _notes(run.bench, results, [own["unit"] for own in found if own not in results])
    points = timed.get("points", ())
    page = markdown(title, warm, unseen, claims, notes, temporal=temporal, timed=points, picture=shown)
    write_text(run.bench.results_folder / f"{SUMMARY}.md", page)
    return {
        "scorers": warm,
        "temporal": temporal,
        "unseen": unseen,
        "claims": claims,
        "heads": head_comparisons(arms),
        "units": {result["unit"]: {k: result[k] for k in ("key", "commit", "seconds", "at")} for result in results},
    }


def other_results(bench: Bench) -> list[dict[str, Any]]:
    """All results of a workspace and split but the summary's own."""
    found = [read_json(path) for path in sorted(bench.results_folder.glob("*.json")) if path.stem != SUMMARY]
    return [result for result in found if result is not None and "arms" in result]


def up_to_date(results: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those whose inputs are the results that stand beside them: arms of two different models are no pair."""
    keys = {result["unit"]: result["key"] for result in results}
    return [result for result in results if all(keys.get(unit) == key for unit, key in _needs(result).items())]


def _needs(result: Mapping[str, Any]) -> Mapping[str, str]:
    needs: Mapping[str, str] = result.get("inputs", {}).get("needs", {})
    return needs


def scorer_rows(groups: Mapping[tuple[str, str], Sequence[Arm]], protocol: str) -> list[dict[str, Any]]:
    """One row a scorer of a protocol, means over seeds, the best by NDCG@10 last."""
    rows = [_row(name, own) for (found, name), own in groups.items() if found == protocol]
    return sorted(rows, key=lambda row: row["metrics"]["ndcg@10"])


def unseen_rows(groups: Mapping[tuple[str, str], Sequence[Arm]]) -> list[dict[str, Any]]:
    """One row a scorer and context length, users of all seeds together, beside the same users in training.

    Where generated heads were measured, others are shown for the same seeds alone: all stand for the same users.
    """
    rows = []
    names = sorted({name for protocol, name in groups if protocol.startswith("unseen-")})
    for known in CONTEXT_LENGTHS:
        for name in names:
            seeds = _seeds_of_heads(groups, protocol_name(known, warm=False))
            cold = groups.get((protocol_name(known, warm=False), name), ())
            cold = [arm for arm in cold if seeds is None or arm.seed in seeds]
            if not cold:
                continue
            warm = {arm.seed: arm for arm in groups.get((protocol_name(known, warm=True), name), ())}
            ranks = np.concatenate([arm.ranks for arm in cold])
            paired = [(arm, warm[arm.seed]) for arm in cold if arm.seed in warm]
            complete = len(paired) == len(cold)
            beside = np.concatenate([other.ranks for _, other in paired]) if complete else None
            rows.append(
                {
                    "name": name,
                    "context": context_name(known),
                    "users": len(ranks),
                    "seeds": len(cold),
                    "ndcg@10": float(ndcg(ranks, 10).mean()),
                    "warm": None if beside is None else float(ndcg(beside, 10).mean()),
                    "relative_loss": None if beside is None else _finite(relative_loss(ranks, beside)),
                    "loss_interval": None if beside is None else _interval(ranks, beside),
                }
            )
    return rows


def _seeds_of_heads(groups: Mapping[tuple[str, str], Sequence[Arm]], protocol: str) -> set[int] | None:
    heads = [own for (found, name), own in groups.items() if found == protocol and name in map(head, HEAD_KINDS)]
    return {arm.seed for own in heads for arm in own} or None


def _interval(cold: np.ndarray, warm: np.ndarray) -> list[float | None]:
    return [_finite(end) for end in relative_loss_interval(cold, warm)]


def _row(name: str, arms: Sequence[Arm]) -> dict[str, Any]:
    every = [arm.metrics() for arm in arms]
    return {
        "name": name,
        "seeds": len(arms),
        "users": len(arms[0].users),
        "metrics": {metric: float(np.mean([own[metric] for own in every])) for metric in every[0]},
        "ndcg@10_by_seed": {str(arm.seed): own["ndcg@10"] for arm, own in zip(arms, every, strict=True)},
        "notes": dict(arms[0].notes),
    }


def _notes(bench: Bench, results: Sequence[Mapping[str, Any]], left_out: Sequence[str]) -> list[str]:
    users = len(bench.basket_cases if bench.baskets else bench.cases)
    seen = "seen items stay in the ranking" if bench.catalogue.repeats else "seen items masked"
    protocol = (
        f"{'Next basket' if bench.baskets else 'Leave-one-out'}, full ranking of {bench.catalogue.n_items:,} items for "
        f"{users:,} users, {seen}, ties lose. Log-loss in nats, lower is better; that of scorers whose scores only "
        "order is after one scale fitted on validation. Means over seeds."
        + (" HR@k and MRR are of the best item of a basket." if bench.baskets else "")
    )
    commits = sorted({str(result["commit"]) for result in results})
    made = f"Made from {len(results)} result files beside this page, by the commits {', '.join(commits)}."
    old = f"Left out, as what they need was made anew since: {', '.join(left_out)}." if left_out else ""
    looks = max((int(result.get("test_looks_before", 0)) for result in results), default=0)
    looked = f"At this split {looks} looks preceded the last result." if bench.split == "test" else ""
    return [protocol, "", *filter(None, (made, looked, old))]


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _others(bench: Bench) -> dict[str, object]:
    return {result["unit"]: [result["key"], result["at"]] for result in other_results(bench)}


UNIT = Unit(SUMMARY, run_summary, "table and claims", looks=False, also=_others, revision=4)
