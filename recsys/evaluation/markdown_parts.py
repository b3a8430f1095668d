"""What a page in Markdown is made of: tables, pictures, figures with their intervals. Knows no report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def with_interval(one: Mapping[str, Any]) -> list[str]:
    """The difference of a paired comparison and its interval, as two cells; the second is empty where there is none."""
    interval = "" if one["low"] is None else f"[{one['low']:+.4f}, {one['high']:+.4f}]"
    return [f"{one['difference']:+.4f}", interval]


def share(value: float | None) -> str:
    """A share in per cent, a dash where there is none."""
    return "–" if value is None else f"{value:.1%}"


def picture(pictures: Mapping[str, str], stem: str, told: str) -> list[str]:
    """A blank line and the picture, nothing where it was not drawn."""
    return ["", f"![{told}]({pictures[stem]})"] if stem in pictures else []


def titled(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A section that begins with a table: every line, the blank ones too."""
    return ["", f"## {title}", "", *table(header, rows)]


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table; all columns but the first are figures."""
    return [_line(header), "| --- |" + " ---: |" * (len(header) - 1), *map(_line, rows)]


def _line(cells: Sequence[str]) -> str:
    """One row; what would end a cell or a row in people's own names is made harmless."""
    return f"| {' | '.join(' '.join(cell.replace('|', '&#124;').split()) for cell in cells)} |"
