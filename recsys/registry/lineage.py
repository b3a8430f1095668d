"""Where a model came from: code, data, features. What `explain` and the API tell of every recommendation."""

from __future__ import annotations

import hashlib
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import recsys
from recsys.context.rows import feature_schema
from recsys.training.dataset import Dataset

_RESULTS = "benchmarks/results"
_MODEL_PACKAGES = ("context", "data", "events", "experts", "metrics", "model", "ranking", "training")


def lineage(dataset: Dataset) -> dict[str, object]:
    """Lineage of a run on these data, with this code, now."""
    features = feature_schema(dataset.schema)
    return {
        "workspace": dataset.schema.name,
        "data_fingerprint": dataset.fingerprint(),
        "log_position": dataset.log_position,
        "feature_service": features.service,
        "feature_schema_hash": features.sha256,
        "code_version": recsys.__version__,
        "code_commit": code_commit(),
        "code_hash": code_hash(),
        "trained_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def code_commit() -> str:
    """The checkout's commit, with -dirty where code differs from it; `unknown` outside a checkout.

    Results that are being written beside the code do not make it another one.
    """
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return "unknown"
    try:
        commit = _git(root, "rev-parse", "--short=12", "HEAD")
        changed = _git(root, "status", "--porcelain", "--untracked-files=no", "--", ".", f":(exclude){_RESULTS}")
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return f"{commit}-dirty" if changed else commit


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=10, check=True)
    return done.stdout.strip()


def code_hash() -> str:
    """SHA-256 over the sources that decide what training makes of given data and configuration."""
    package = Path(recsys.__file__).parent
    digest = hashlib.sha256()
    for name in _MODEL_PACKAGES:
        for path in sorted((package / name).glob("*.py")):
            digest.update(f"{name}/{path.name}\0".encode() + path.read_bytes())
    return digest.hexdigest()
