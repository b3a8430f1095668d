"""A report as a page that is read from top to bottom: each table with a sentence on what it says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from recsys.evaluation.calibrated import ITEM, LIST, MEANING
from recsys.evaluation.comparisons import LOG_LOSS, NDCG
from recsys.evaluation.full_ranking import MODEL, SHARED_BLEND
from recsys.evaluation.head_controls import CONTROL_PREFIX
from recsys.evaluation.markdown_parts import picture, share, table, titled, with_interval
from recsys.evaluation.workspace_protocol import IN_WORDS, Words

if TYPE_CHECKING:
    from recsys.evaluation.report import EvaluationReport

ACCURACY = (*(f"{name}@{k}" for name in ("recall", "ndcg", "hr") for k in (5, 10, 20, 50)), "mrr", "gauc")
BEYOND = ("coverage@10", "novelty@10", "popularity@10", "popularity_bias@10")


def markdown(report: EvaluationReport, plots: Mapping[str, str] | None = None) -> str:
    """The page.

    Args:
        report: what to tell.
        plots: relative path of each picture, by its stem; a picture that is not there is left out.
    """
    sections = report.sections
    pictures = plots or {}
    lines = [*_head(report), *_quality(report, pictures)]
    if sections:
        words = IN_WORDS[report.protocol]
        lines += _comparisons(sections["comparisons"], words)
        lines += _beyond(report)
        lines += _groups(sections["groups"], pictures)
        lines += _calibration(sections["calibration"], words, pictures)
        lines += _personalisation(sections["personalisation"])
    return "\n".join(lines) + "\n"


def _head(report: EvaluationReport) -> list[str]:
    seen = "seen items may come again" if report.repeats else "seen items are masked"
    return [
        f"# {report.workspace}: version {report.model_version} on the {report.split} split",
        "",
        IN_WORDS[report.protocol].targets,
        f"Full ranking of {report.items:,} items for {report.users:,} users; {seen}, ties lose.",
        f"Looks at this test split before this report: {report.test_looks_before}.",
        f"Model of commit {report.lineage.get('code_commit', 'unknown')}, evaluated in {report.seconds:.0f} s.",
    ]


def _quality(report: EvaluationReport, pictures: Mapping[str, str]) -> list[str]:
    known = set(report.metrics[MODEL])
    shown = [metric for metric in ACCURACY if metric in known]
    rows = [[name, *(f"{value:.4f}" for value in values)] for name, values in report.rows(shown)]
    tuned = "; ".join(f"{name} {value}" for name, value in report.tuned.items() if not isinstance(value, Mapping))
    return [
        *titled("How well targets are ranked", ["scorer", *shown], rows),
        "",
        f"{IN_WORDS[report.protocol].figures} An expert alone ranks by its scores as the blend sees them."
        + (f" Tuned on validation: {tuned}." if tuned else ""),
        *picture(pictures, "scorers", "NDCG@10 of every scorer"),
    ]


def _comparisons(section: Mapping[str, Any], words: Words) -> list[str]:
    losses = section["log_loss"]
    rows = [
        [f"{one['figure']}, {one['of']} − {one['against']}", *with_interval(one), f"{one['users']:,}"]
        for one in section["paired"]
    ]
    left_out = section["users"] - section["users_with_log_loss"]
    told = ", ".join(f"{name} {value:.4f}" for name, value in losses.items() if value is not None)
    return [
        *titled("The model against the others, user by user", ["difference", "mean", "95 % interval", "users"], rows),
        "",
        f"{words.loss} in nats (softmax over unmasked items; less is better): {told or 'no target counts'}."
        + (f" {left_out:,} users are left out of it: their targets may not be recommended." if left_out else "")
        + " Intervals: paired bootstrap over users.",
    ]


def _beyond(report: EvaluationReport) -> list[str]:
    rows = [[name, *_beyond_cells(values)] for name, values in report.rows(BEYOND)]
    return [
        *titled("What is recommended", ["scorer", *BEYOND], rows),
        "",
        "Coverage: share of the catalogue in at least one top-10. Novelty: mean self-information of a recommended item "
        "under its share of the training events. Popularity: mean percentile of recommended items by training events; "
        "its bias is how far that is above the percentile of what users took.",
    ]


def _beyond_cells(values: Sequence[float]) -> list[str]:
    covered, novel, popular, bias = values
    return [f"{covered:.1%}", f"{novel:.2f} bits", f"{popular:.1%}", f"{100 * bias:+.1f} points"]


def _groups(groupings: Sequence[Mapping[str, Any]], pictures: Mapping[str, str]) -> list[str]:
    lines = ["", "## For whom"]
    for grouping in groupings:
        groups = grouping["groups"]
        scorers = list(groups[0]["ndcg@10"])
        header = [grouping["by"], "users", *(f"{name}: ndcg@10, hr@10" for name in scorers), "model − blend"]
        rows = [
            [
                group["group"],
                f"{group['users']:,}",
                *(f"{group['ndcg@10'][name]:.4f}, {group['hr@10'][name]:.4f}" for name in scorers),
                f"{group['ahead_of_blend']:+.4f} ± {group['ahead_of_blend_margin']:.4f}",
            ]
            for group in groups
        ]
        lines += ["", *table(header, rows)]
    return [*lines, *picture(pictures, "history", "NDCG@10 by length of history")]


def _calibration(section: Mapping[str, Any], words: Words, pictures: Mapping[str, str]) -> list[str]:
    rows = [
        [
            label,
            f"{own['base_rate']:.4f}",
            f"{own['mean_probability']:.4f}",
            f"{own['ece']:.4f}",
            share(own["ece_over_base_rate"]),
            share(own["ece_of_chance_over_base_rate"]),
            f"{own['brier']:.5f}",
            f"{own['brier_skill']:+.1%}",
        ]
        for label, own in (
            (f"{section[MEANING][ITEM]}, each of the top-10", section.get(ITEM)),
            (section[MEANING][LIST], section.get(LIST)),
        )
        if own
    ]
    header = ["prediction", "base rate", "mean stated", "ECE", "ECE / base rate", "of chance", "Brier", "skill"]
    return [
        *titled("Whether probabilities come true", header, rows),
        "",
        f"{words.probabilities} {section['users']:,} users, {section['bins']} bins of equal size. “Of chance” is the "
        "ECE / base rate that so few outcomes would show if every probability were exactly right. Skill: Brier score "
        f"saved against always saying the base rate. {_whose(section)}",
        *picture(pictures, "reliability", "Reliability diagram"),
    ]


def _whose(section: Mapping[str, Any]) -> str:
    if not section["users_it_was_fitted_on_are_known"]:
        return (
            "The snapshot does not say on whose events the calibration was fitted, so some of these users may be among "
            "them."
        )
    return f"The {section['users_left_out']:,} evaluated users on whose validation targets it was fitted are left out."


def _personalisation(section: Mapping[str, Any]) -> list[str]:
    named = {MODEL: "its own head", SHARED_BLEND: "the shared blend"}
    paired = {(one["of"], one["figure"]): one for one in section["paired"]}
    rows = []
    for scorer, figures in section["figures"].items():
        cells = [named.get(scorer, scorer.removeprefix(CONTROL_PREFIX))]
        for figure in (NDCG, LOG_LOSS):
            cells.append("–" if figures[figure] is None else f"{figures[figure]:.4f}")
            cells.append(" ".join(with_interval(paired[scorer, figure])) if (scorer, figure) in paired else "")
        rows.append(cells)
    overlap = ", ".join(f"{name} {value:.3f}" for name, value in section["overlap"].items() if value is not None)
    return [
        *titled("Whether it is personal", ["a user's experts under", NDCG, "− own", LOG_LOSS, "− own"], rows),
        "",
        f"Effective rank of the heads: {section['effective_rank']:.1f} of {section['head_size']} numbers. "
        f"Overlap of two users' top-10 (mean Jaccard of {section['overlap_pairs']:,} pairs): {overlap or '–'}.",
        "",
        *table(["number of the head", "mean", "standard deviation over users"], _spread(section["spread"])),
    ]


def _spread(numbers: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Gains and temperature one by one; of each long part (`film 0`, `film 1`, …) its root mean square."""
    rows: list[list[str]] = []
    parts: dict[str, list[Mapping[str, Any]]] = {}
    for number in numbers:
        part, _, place = number["number"].rpartition(" ")
        if part and place.isdigit():
            parts.setdefault(part, []).append(number)
        else:
            rows.append([number["number"], f"{number['mean']:.3f}", f"{number['deviation']:.3f}"])
    for part, own in parts.items():
        size = [(sum(number[what] ** 2 for number in own) / len(own)) ** 0.5 for what in ("mean", "deviation")]
        rows.append([f"{part}: {len(own)} numbers, root mean square", *(f"{value:.3f}" for value in size)])
    return rows
