"""Cases that end in killed processes, run by a driver in a process of its own and told line by line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[1]


def outcomes_of(driver: Path, folder: Path, cases: Sequence[str]) -> dict[str, dict[str, Any]]:
    """What came of each case: the JSON line that the driver said of it."""
    run = subprocess.run(
        [sys.executable, "-W", "ignore", str(driver), str(folder), *cases],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(_ROOT)},
    )
    found = {one["case"]: one for one in map(json.loads, run.stdout.splitlines())}
    assert set(found) == set(cases), run.stderr[-2000:]
    return found
