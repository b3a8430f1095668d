"""The ledger of looks at a test split: every one is written down, and every report says how many came before it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from recsys.workspace import Workspace

LEDGER_VARIABLE = "RECSYS_TEST_LEDGER"


def ledger_file(workspace: Workspace) -> Path:
    """`$RECSYS_TEST_LEDGER`, else test-ledger.jsonl beside the workspaces."""
    return Path(os.environ.get(LEDGER_VARIABLE) or workspace.home / "test-ledger.jsonl")


def looks_before(workspace: Workspace) -> int:
    """How many looks at this workspace's test split stand in the ledger.

    A line that cannot be read (its writing was cut short) may have been anybody's and counts for everybody.
    """
    path = ledger_file(workspace)
    if not path.exists():
        return 0
    return sum(_may_be_of(workspace.name, line) for line in path.read_text().splitlines() if line.strip())


def record_look(workspace: Workspace, entry: Mapping[str, object]) -> None:
    """Appends one look; on disk when this returns."""
    path = ledger_file(workspace)
    path.parent.mkdir(parents=True, exist_ok=True)
    cut_short = path.exists() and not (path.read_bytes() or b"\n").endswith(b"\n")
    with path.open("a") as ledger:
        ledger.write(
            ("\n" if cut_short else "") + json.dumps({"workspace": workspace.name, **entry}, sort_keys=True) + "\n"
        )
        ledger.flush()
        os.fsync(ledger.fileno())


def _may_be_of(name: str, line: str) -> bool:
    try:
        return bool(json.loads(line)["workspace"] == name)
    except (ValueError, KeyError, TypeError):
        return True
