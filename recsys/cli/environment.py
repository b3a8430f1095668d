"""Calms the libraries underneath, before they are imported: no telemetry, no notices that nobody can act on.

What the caller has set stays. It must be called before feast, mlflow or ray are imported, and imports none of them.
"""

from __future__ import annotations

import os
from types import MappingProxyType

QUIET = MappingProxyType(
    {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "RAY_USAGE_STATS_ENABLED": "0",
        "TOKENIZERS_PARALLELISM": "false",
        # mlflow looks for the commit of the code and complains where there is no git.
        "GIT_PYTHON_REFRESH": "quiet",
    }
)


def calm_libraries() -> None:
    """Sets each variable of `QUIET` that is not set yet."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
