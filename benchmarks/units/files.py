"""How results reach the disk: whole or not at all, and with what made them."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shlex
import sys
import tempfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from recsys.registry.lineage import code_commit


def write_whole(path: Path, write: Callable[[Path], None]) -> None:
    """Lets `write` fill a temporary file beside `path`, then puts it in its place; a kill leaves the old one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for left_by_a_kill in path.parent.glob(f".{path.name}.*.tmp"):
        left_by_a_kill.unlink(missing_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """A text file, whole or not at all."""
    write_whole(path, lambda temporary: _fill(temporary, text))


def write_json(path: Path, content: Mapping[str, object]) -> None:
    """A JSON file, whole or not at all; NaN and infinity are refused."""
    write_text(path, json.dumps(content, indent=2, sort_keys=True, allow_nan=False) + "\n")


def read_json(path: Path) -> dict[str, Any] | None:
    """What a JSON file holds; None where there is none or it cannot be read."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def key_of(inputs: Mapping[str, object]) -> str:
    """A name for these inputs: other inputs, another key."""
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()[:16]


def file_hash(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def machine() -> dict[str, object]:
    """On what the figures were taken; `bfloat16` says whether the processor multiplies it by itself."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "system": platform.platform(),
        "processor": _said_by_processor("model name"),
        "bfloat16": "avx512_bf16" in _said_by_processor("flags").split(),
        "cores": os.cpu_count(),
        "memory_gb": round(memory / 1e9, 1),
        "threads": os.environ.get("OMP_NUM_THREADS", "all"),
    }


def stamp(script: str, load: float) -> dict[str, object]:
    """When, from which commit, by which command and on what a script of `benchmarks/` took its figures.

    Args:
        script: its file name.
        load: of the machine before it began.
    """
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": code_commit(),
        "command": command(script),
        "machine": machine(),
        "load_before": load,
    }


def command(script: str) -> str:
    """How this process was started, as anybody could: DIR stands for paths that only this machine has.

    Args:
        script: of `benchmarks/`, its file name.
    """
    return shlex.join(["python", f"benchmarks/{script}", *map(_anywhere, sys.argv[1:])])


def _anywhere(argument: str) -> str:
    return "DIR" if Path(argument).is_absolute() else argument


def _said_by_processor(name: str) -> str:
    """A line of what Linux says of the first processor; where it says nothing, the kind of machine."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(name)), platform.machine())


def _fill(path: Path, text: str) -> None:
    path.write_text(text)
