"""Rounds of contestants, one process each, taking turns; what they add up to, and whether a bar is met."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.speed.contestants import OURS, Bar, Contestant
from benchmarks.speed.data import FIT, SETTINGS
from benchmarks.units.files import write_json

Measured = dict[str, list[dict[str, Any]]]
"""What each contestant gave, by name, a round after the other."""
_SAID = 600


def take_turns(
    contestants: Sequence[Contestant],
    rounds: int,
    run: Callable[[Contestant], dict[str, Any]],
    say: Callable[[str], None],
) -> Measured:
    """Everybody in the first round; then those that `going_on` names, every other round in reverse.

    Args:
        contestants: in the order of the first round.
        rounds: how many.
        run: one of them to targets and seconds, or to why there are none (`failed`).
        say: told each result as it comes.
    """
    measured: Measured = {own.name: [] for own in contestants}
    left = list(contestants)
    for number in range(rounds):
        for own in left if number % 2 == 0 else reversed(left):
            found = run(own)
            measured[own.name].append(found)
            say(f"{own.name}: {found.get('failed') or f'{rate_of(found):,.0f} targets a second'}")
        left = going_on(left, measured)
    return measured


def going_on(contestants: Sequence[Contestant], measured: Measured) -> list[Contestant]:
    """The fastest variant of each peer and loss so far, and of ours the first one, which is what counts.

    Args:
        contestants: all that were asked.
        measured: what they gave; who failed goes on no more.
    """
    able = [own for own in contestants if not any("failed" in found for found in measured[own.name])]
    chosen: dict[tuple[str, str], Contestant] = {}
    for own in able:
        known = chosen.setdefault((own.team, own.loss), own)
        if own.team != OURS and _middle(measured[own.name]) > _middle(measured[known.name]):
            chosen[own.team, own.loss] = own
    return [own for own in able if own in chosen.values()]


def run_in_folder(
    own: Contestant, shared: Mapping[str, Any], fit: Path, folder: Path, minutes: float
) -> dict[str, Any]:
    """Runs a contestant's program in a fresh folder.

    Args:
        own: the contestant.
        shared: settings of everybody.
        fit: the file of sequences.
        folder: made anew, and removed when the program did well.
        minutes: after which it is stopped.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    os.link(fit, folder / FIT)
    write_json(folder / SETTINGS, {**shared, **own.settings, "seconds": shared["seconds"] * own.part})
    environment = {**os.environ, "OMP_NUM_THREADS": str(shared["threads"])}
    try:
        done = subprocess.run(
            own.command(folder), capture_output=True, text=True, env=environment, timeout=60 * minutes, check=False
        )
    except subprocess.TimeoutExpired:
        return {"failed": f"not done within {minutes:g} minutes"}
    if done.returncode:
        return {"failed": f"exit code {done.returncode}: {done.stderr.strip()[-_SAID:]}"}
    found: dict[str, Any] = json.loads((folder / "speed.json").read_text())
    shutil.rmtree(folder)
    return found


def rate_of(found: Mapping[str, Any]) -> float:
    """Targets a second."""
    return float(found["targets"]) / float(found["seconds"])


def _middle(found: Sequence[Mapping[str, Any]]) -> float:
    return median(rate_of(one) for one in found)


def summed_up(contestants: Sequence[Contestant], measured: Measured) -> list[dict[str, Any]]:
    """One entry a contestant: its rates and their median, or why there is none."""
    entries = []
    for own in contestants:
        entry: dict[str, Any] = {"team": own.team, "loss": own.loss, "variant": own.variant, "name": own.name}
        found = measured[own.name]
        failed = next((one["failed"] for one in found if "failed" in one), None)
        if failed is not None or not found:
            entries.append({**entry, "failed": failed or "not asked"})
            continue
        rates = [rate_of(one) for one in found]
        entry |= {"rates": [round(rate, 1) for rate in rates], "targets_per_second": round(median(rates), 1)}
        entries.append({**entry, "items": found[0]["items"], "versions": found[0]["versions"]})
    return entries


def held_to(bar: Bar, entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Our first variant of a loss beside the fastest of the peer's.

    Args:
        bar: which peer and loss, and how many times as fast we have to be.
        entries: what `summed_up` gives.
    """
    said: dict[str, Any] = {"peer": bar.peer, "loss": bar.loss}
    said |= {} if bar.times is None else {"bar": bar.times, "met": None}
    able = [entry for entry in entries if entry["loss"] == bar.loss and "targets_per_second" in entry]
    ours = next((entry for entry in able if entry["team"] == OURS), None)
    theirs = max(
        (entry for entry in able if entry["team"] == bar.peer), key=lambda e: e["targets_per_second"], default=None
    )
    if ours is None or theirs is None:
        return {**said, "ratio": None}
    ratio = ours["targets_per_second"] / theirs["targets_per_second"]
    said |= {"ours": ours["name"], "theirs": theirs["name"], "ratio": round(ratio, 2)}
    return said if bar.times is None else {**said, "met": ratio >= bar.times}
