"""A report's pictures: scorers side by side, quality by length of history, reliability. Drawn without a display."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from recsys.evaluation.calibrated import ITEM, LIST, MEANING
from recsys.evaluation.full_ranking import EXPERT_PREFIX, MODEL, SHARED_BLEND
from recsys.evaluation.groups import HISTORY

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from recsys.evaluation.report import EvaluationReport

_INK, _SOFT, _QUIET, _LINE = "#22262E", "#555B66", "#C9CED6", "#8A909C"
_MODEL, _BLEND, _OTHER = "#3567A8", "#E08A1E", "#7A6A53"
_STYLE: Mapping[Any, Any] = {
    "figure.constrained_layout.use": True,
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": _LINE,
    "axes.labelcolor": _INK,
    "axes.axisbelow": True,
    "grid.color": _QUIET,
    "grid.linewidth": 0.6,
    "text.color": _INK,
    "xtick.color": _SOFT,
    "ytick.color": _SOFT,
    "legend.frameon": False,
    "text.parse_math": False,
}
_DPI = 130


def draw_plots(report: EvaluationReport, folder: Path) -> list[Path]:
    """Draws what the report's sections hold; a report without sections has no pictures.

    Args:
        report: what to draw.
        folder: where the PNG files go; made when missing.

    Returns:
        The files: `scorers.png`, `history.png`, `reliability.png`.
    """
    if not report.sections:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for stem, draw in (("scorers", _scorers), ("history", _history), ("reliability", _reliability)):
        with saved_figure(folder / f"{stem}.png") as figure:
            draw(figure, report)
        files.append(folder / f"{stem}.png")
    return files


@contextmanager
def saved_figure(path: Path) -> Iterator[Figure]:
    """A figure in the pictures' style to draw on, then written as PNG.

    Args:
        path: of the file, in a folder that is there.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(dict(_STYLE)):
        figure = Figure()
        yield figure
        figure.savefig(path, format="png", dpi=_DPI, bbox_inches="tight", pad_inches=0.15)


def _scorers(figure: Figure, report: EvaluationReport) -> None:
    margins = report.sections["comparisons"]["ndcg@10_margin"]
    names = sorted(report.scorers(), key=lambda name: report.metrics[name]["ndcg@10"])
    values = [report.metrics[name]["ndcg@10"] for name in names]
    figure.set_size_inches(7.5, 0.42 * len(names) + 1.2)
    axes = figure.subplots()
    places, spread = range(len(names)), [margins[name] for name in names]
    axes.barh(places, values, height=0.66, color=[_colour(name) for name in names])
    axes.errorbar(values, places, xerr=spread, fmt="none", ecolor=_INK, elinewidth=1, capsize=3)
    reach = max(value + own for value, own in zip(values, spread, strict=True)) or 1.0
    for place, value, own in zip(places, values, spread, strict=True):
        axes.text(value + own + 0.012 * reach, place, f"{value:.4f}", va="center", color=_SOFT)
    axes.set_yticks(places, [_told(name) for name in names])
    axes.set(xlim=(0, 1.1 * reach), xlabel=f"NDCG@10 on {report.split}, {report.users:,} users (95 % interval)")
    axes.set_title("How well each scorer ranks the targets")
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)


def _history(figure: Figure, report: EvaluationReport) -> None:
    groups = next(one["groups"] for one in report.sections["groups"] if one["by"] == HISTORY)
    scorers = list(groups[0]["ndcg@10"])
    figure.set_size_inches(max(6.5, 1.05 * len(groups) + 2), 3.8)
    axes = figure.subplots()
    places = np.arange(len(groups))
    for shift, name in zip(np.linspace(-0.16, 0.16, len(scorers)), scorers, strict=True):
        axes.errorbar(
            places + shift,
            [group["ndcg@10"][name] for group in groups],
            yerr=[group["ndcg@10_margin"][name] for group in groups],
            fmt={MODEL: "o", SHARED_BLEND: "D"}.get(name, "s"),
            markersize=6,
            capsize=3,
            elinewidth=1.2,
            color=scorer_colour(name),
            label=_told(name),
        )
    axes.set_xticks(places, [f"{group['group']}\n{group['users']:,} users" for group in groups])
    axes.set(xlim=(-0.6, len(groups) - 0.4), xlabel=HISTORY, ylabel="NDCG@10 (95 % interval)")
    axes.set_ylim(bottom=0)
    axes.grid(axis="y")
    axes.set_title(f"Ranking quality by length of history ({report.split})", pad=26)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 0.99), ncols=len(scorers), borderaxespad=0.2, handletextpad=0.3)


def _reliability(figure: Figure, report: EvaluationReport) -> None:
    section = report.sections["calibration"]
    titles = {ITEM: f"{section[MEANING][ITEM]}, each of the top-10", LIST: section[MEANING][LIST]}
    shown = [(title, section[key]) for key, title in titles.items() if key in section]
    figure.set_size_inches(4.7 * max(len(shown), 1), 4.6)
    for place, (title, own) in enumerate(shown, start=1):
        _diagram(figure.add_subplot(1, len(shown), place), title, own)


def _diagram(axes: Axes, title: str, own: Mapping[str, Any]) -> None:
    predicted, observed, count = (np.array(own["reliability"][name]) for name in ("predicted", "observed", "count"))
    spread = 1.96 * np.sqrt(predicted * (1 - predicted).clip(0) / count)
    reach = 1.08 * max(predicted.max(), observed.max(), (predicted + spread).max()) or 1.0
    axes.plot([0, reach], [0, reach], color=_LINE, linewidth=1, linestyle="--", label="exactly right")
    axes.fill_between(
        predicted,
        (predicted - spread).clip(0),
        predicted + spread,
        color=_QUIET,
        alpha=0.6,
        linewidth=0,
        label="within chance (95 %)",
    )
    axes.axhline(own["base_rate"], color=_OTHER, linewidth=1, linestyle=":", label=f"base rate {own['base_rate']:.3f}")
    axes.plot(predicted, observed, "o", color=_MODEL, markersize=6, label="bins of equal size")
    axes.set(
        xlim=(0, reach), ylim=(0, reach), aspect="equal", xlabel="stated probability", ylabel="how often it came true"
    )
    axes.set_title(title)
    axes.legend(
        loc="upper left",
        title=f"ECE {own['ece']:.4f}, Brier skill {own['brier_skill']:+.1%}",
        alignment="left",
        fontsize=9,
        title_fontsize=9,
    )


def _colour(name: str) -> str:
    return {MODEL: _MODEL, SHARED_BLEND: _BLEND}.get(name, _QUIET)


def scorer_colour(name: str) -> str:
    """What a scorer is drawn in where each has a mark of its own: `MODEL`, `SHARED_BLEND` or any other."""
    return {MODEL: _MODEL, SHARED_BLEND: _BLEND}.get(name, _OTHER)


def _told(name: str) -> str:
    return {MODEL: "this model"}.get(name, name.replace(EXPERT_PREFIX, "expert alone: "))
