"""Steps of a flow that is resumed: each one's output is written down under the hash of its inputs. Knows no job."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recsys.durable import canonical_json, replace_file

Output = dict[str, Any]


def input_key(step: str, inputs: Mapping[str, object]) -> str:
    """SHA-256 over a step's name and inputs, plain JSON values."""
    return hashlib.sha256(canonical_json({"step": step, "inputs": dict(inputs)})).hexdigest()


@dataclass(frozen=True, slots=True)
class Steps:
    """A flow's outputs in a folder, one file a step and inputs.

    Attributes:
        folder: where they lie.
        told: told each step's name, its output, and whether that was there already.
    """

    folder: Path
    told: Callable[[str, Output, bool], None]

    def step(self, name: str, inputs: Mapping[str, object], work: Callable[[str], Output]) -> Output:
        """The output of a step: the one written down for the same inputs, else what the work gives, written down.

        A process that dies in between leaves no output: the work is done again and has to bear that.

        Args:
            name: the step's.
            inputs: all that decides its output.
            work: given the inputs' key.
        """
        key = input_key(name, inputs)
        path = self.folder / f"{name}-{key[:16]}.json"
        known = _read(path, key)
        if known is not None:
            self.told(name, known, True)
            return known
        output = work(key)
        self.note(path, key, inputs, output)
        self.told(name, output, False)
        return output

    def note(self, path: Path, key: str, inputs: Mapping[str, object], output: Output) -> None:
        """Writes an output down; it is on the disk when this returns."""
        replace_file(path, canonical_json({"key": key, "inputs": dict(inputs), "output": output}))


def _read(path: Path, key: str) -> Output | None:
    try:
        stored = json.loads(path.read_bytes())
        return dict(stored["output"]) if stored["key"] == key else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
