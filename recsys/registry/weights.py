"""The weights of a snapshot, mapped from their file: what is hashed is what is mapped, and nothing is unpickled.

One file descriptor is held from the check to the mapping, so that a file that is replaced in between changes nothing;
the pages stay the kernel's, shared by all processes that serve the same snapshot.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from recsys.errors import SnapshotError
from recsys.registry.manifest import REMEDY


class HeldWeights:
    """A safetensors file, held open for a block.

    Args:
        path: the file; a link is never followed. One that is not there is a matter of the manifest's checks.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)

    def sha256(self) -> str:
        """Hex digest of the bytes; from now on these very bytes are held.

        Raises:
            SnapshotError: the file cannot be opened.
        """
        try:
            self._descriptor = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            raise SnapshotError(f"{self._path} cannot be opened: {error.strerror}. {REMEDY}") from error
        with open(self._descriptor, "rb", closefd=False) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def tensors(self) -> dict[str, Tensor]:
        """The tensors whose bytes were hashed, on the CPU: memory-mapped, private to this process.

        Raises:
            SnapshotError: it is no safetensors file.
        """
        try:
            return load_file(f"/proc/self/fd/{self._descriptor}")
        except (SafetensorError, OSError, RuntimeError, ValueError) as error:
            raise SnapshotError(f"{self._path} cannot be read: {error}. {REMEDY}") from error
