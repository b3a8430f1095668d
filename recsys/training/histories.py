"""Where runs keep users' histories while they train, so that a deletion finds them. Imports nothing that trains."""

from __future__ import annotations

import shutil
from pathlib import Path

BODY_FOLDER = "body"
"""In a run's folder: what the body's fit keeps."""
SHARDS_FOLDER = "shards"
"""In that: users' histories, one file a worker; nothing else there says anything of a single user."""


def forget_histories(runs: Path) -> None:
    """Removes what runs keep of single users. After a deletion none can be gone on with; one under way has read it.

    Args:
        runs: the folder of a workspace's runs.
    """
    for folder in runs.glob(f"*/{BODY_FOLDER}/{SHARDS_FOLDER}"):
        shutil.rmtree(folder, ignore_errors=True)
