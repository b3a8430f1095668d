"""The quickstart's figures as one JSON file, so that what the README states can be traced."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from recsys.registry.lineage import code_commit
from recsys.training.config import load_config

if TYPE_CHECKING:
    from pipelines.quickstart_service import ServiceTour
    from recsys.evaluation.report import EvaluationReport


def write_results(
    path: Path,
    config: str,
    steps: Sequence[tuple[str, str, float, bool]],
    seconds: float,
    report: EvaluationReport,
    service: ServiceTour,
) -> None:
    """Writes timings, metrics, seed, commit and machine; the folder is made when missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    results = {
        "command": "make quickstart",
        "commit": code_commit(),
        "machine": {"system": platform.platform(), "cores": os.cpu_count(), "processor": platform.machine()},
        "config": config,
        "seed": load_config(config).seed,
        "seconds": round(seconds, 1),
        "steps": [{"step": name, "seconds": round(own, 1), "reused": reused} for name, _, own, reused in steps],
        "evaluation": report.as_dict(),
        "service_milliseconds": {
            name: round(value, 1)
            for name, value in zip(
                ("known user", "visitor", "event", "after the event"), service.milliseconds, strict=True
            )
        },
    }
    path.write_text(json.dumps(results, indent=2, sort_keys=True) + "\n")
