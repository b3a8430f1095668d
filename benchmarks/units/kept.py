"""Fitted heads on disk beside their stages: a later look at another split scores what was chosen, and fits nothing."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from benchmarks.units.files import write_whole
from recsys.registry.lineage import code_commit

HEAD_REVISION = 1
"""Raised by hand when the code that fits heads changes what it would find."""

Fit = Callable[[], tuple[Mapping[str, Tensor], Mapping[str, object]]]
"""Fits; gives tensors by name and what to say of them."""


def kept(path: Path, fit: Fit) -> tuple[dict[str, Tensor], dict[str, object]]:
    """What an earlier run left at `path`, or what `fit` gives, with its `fit_seconds` and the commit of the code.

    Args:
        path: its name has to say all that the fit depends on.
        fit: called where nothing is there.
    """
    if not path.is_file():
        started, commit = time.monotonic(), code_commit()
        tensors, notes = fit()
        said = {**notes, "fit_seconds": round(time.monotonic() - started, 1), "fit_commit": commit}
        plain = {name: own.detach().contiguous().clone() for name, own in tensors.items()}
        write_whole(path, lambda file: save_file(plain, file, {"notes": json.dumps(said)}))
    with safe_open(path, framework="pt") as stored:
        notes = json.loads(stored.metadata()["notes"])
    return load_file(path), notes
