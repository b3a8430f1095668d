"""A report's sections in a few lines, for a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from recsys.evaluation.calibrated import ITEM, LIST, MEANING
from recsys.evaluation.head_controls import OTHERS_HEAD


def summary(sections: Mapping[str, Any]) -> list[str]:
    """One line a finding; none where there are no sections.

    Args:
        sections: as `evaluate_in_full` gives them.
    """
    if not sections:
        return []
    lines = [f"{one['figure']}, model − {one['against']}: {_told(one)}" for one in sections["comparisons"]["paired"]]
    lines += [
        f"{one['figure']}, another user's head − own: {_told(one)}"
        for one in sections["personalisation"]["paired"]
        if one["of"] == OTHERS_HEAD
    ]
    calibration = sections["calibration"]
    for key in (ITEM, LIST):
        own = calibration.get(key)
        if own and own["ece_over_base_rate"] is not None:
            lines.append(
                f"{calibration[MEANING][key]}: ECE {own['ece_over_base_rate']:.0%} of the base rate "
                f"(chance alone: {own['ece_of_chance_over_base_rate']:.0%}), Brier skill {own['brier_skill']:+.1%}"
            )
    return lines


def _told(one: Mapping[str, Any]) -> str:
    interval = "" if one["low"] is None else f" [{one['low']:+.4f}, {one['high']:+.4f}]"
    return f"{one['difference']:+.4f}{interval}"
