"""`recsys batch` as people type it: from the offline store to files, Ray's start and the model's loading included."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from benchmarks.scale.running import run_measured
from recsys.jobs.materialise import materialise
from recsys.workspace import HOME_VARIABLE, Workspace


def measured_job(workspace: Workspace, k: int, folder: Path) -> dict[str, Any]:
    """Seconds, users a second and the most memory of one command for everybody.

    Args:
        workspace: with a champion; its features are made anew first, which is not counted.
        k: items a user.
        folder: where the lists go.
    """
    materialise(workspace, rebuild=True)
    asked = ["batch", "--workspace", workspace.name, "--k", str(k), "--out", str(folder / "lists"), "--json"]
    command = [sys.executable, "-m", "recsys", *asked]
    ran = run_measured(command, {**os.environ, HOME_VARIABLE: str(workspace.home)})
    result = json.loads(ran.said)
    return {
        "command": f"recsys batch --workspace {workspace.name} --k {k}",
        "users": result["users"],
        "items_recommended": result["rows"],
        "seconds": round(ran.seconds, 1),
        "users_a_second": round(result["users"] / ran.seconds, 1),
        "seconds_of_the_job_alone": round(result["seconds"], 1),
        "processor_seconds": round(ran.processor_seconds, 1),
        "peak_gigabytes": round(ran.peak_bytes / 1e9, 2),
        "gigabytes_at_most": round(ran.bytes_at_most / 1e9, 2),
        "processes_at_peak": ran.processes,
    }
