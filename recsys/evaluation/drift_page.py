"""The drift report as one HTML file that needs nothing else: no script, no style sheet, no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from recsys.evaluation.feature_drift import FeatureDrift

_COLOURS = {"stable": "#2e7d32", "moderate": "#b26a00", "large": "#b71c1c"}
HEAD = ("feature", "kind", "verdict", "PSI", "KS", "p", "missing then", "missing now", "mean then", "mean now")
_STYLE = (
    "body{font:15px/1.5 sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem}"
    "table{border-collapse:collapse;width:100%}td,th{padding:.3rem .6rem;border-bottom:1px solid #ddd;text-align:right}"
    "td:first-child,th:first-child,td:nth-child(2),th:nth-child(2){text-align:left}"
)


def drift_page(title: str, facts: Mapping[str, object], drifts: Sequence[FeatureDrift]) -> str:
    """The report.

    Args:
        title: its heading.
        facts: what was compared, by name.
        drifts: features, in the order shown.
    """
    told = "".join(f"<li>{escape(name)}: {escape(str(value))}</li>" for name, value in facts.items())
    head = "".join(f"<th>{name}</th>" for name in HEAD)
    rows = "".join(_row(drift) for drift in drifts)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{escape(title)}</h1><ul>{told}</ul>"
        "<p>PSI: population stability index over the tenths of the training contexts (below .1 stable, from .25 on "
        "another population). KS: largest distance between the two cumulative distributions.</p>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></body></html>\n"
    )


def cells(drift: FeatureDrift) -> tuple[str, ...]:
    """What the report says of a feature, in the order of its columns."""
    return (
        drift.name,
        drift.kind,
        drift.verdict,
        f"{drift.psi:.3f}",
        _shown(drift.ks),
        _shown(drift.p_value),
        f"{drift.missing_then:.1%}",
        f"{drift.missing_now:.1%}",
        _shown(drift.mean_then),
        _shown(drift.mean_now),
    )


def _row(drift: FeatureDrift) -> str:
    shown = [escape(cell) for cell in cells(drift)]
    shown[2] = f'<b style="color:{_COLOURS[drift.verdict]}">{shown[2]}</b>'
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in shown) + "</tr>"


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
