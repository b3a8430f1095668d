"""Tries things out in a process of their own, so that a broken native library cannot take the doctor down with it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass

PROBE_SECONDS = 180


@dataclass(frozen=True, slots=True)
class Probe:
    """How a snippet ended.

    Attributes:
        worked: it ran to its end.
        output: the last line that it printed; when it failed, the last line of its error.
    """

    worked: bool
    output: str


def run_probe(code: str) -> Probe:
    """Runs a Python snippet with this interpreter, from the current folder, as a user's own script would.

    Args:
        code: the snippet; what it prints last is kept.

    Returns:
        How it ended. It never raises for what the snippet does.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PROBE_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        return Probe(False, f"it did not end within {PROBE_SECONDS} s")
    if done.returncode == 0:
        return Probe(True, _last_line(done.stdout))
    if done.returncode < 0:
        return Probe(False, f"it crashed (signal {-done.returncode})")
    return Probe(False, _last_line(done.stderr) or f"exit code {done.returncode}")


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1].strip() if lines else ""
