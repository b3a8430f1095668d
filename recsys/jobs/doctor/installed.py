"""What is installed and what should be: package metadata against our requirements and the locks. Imports none of it."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from recsys.shipped import shipped_folder

DISTRIBUTION = "recsys"
FBGEMM_VARIANTS = ("fbgemm-gpu-cpu", "fbgemm-gpu")

# Not in our metadata (docs/decisions/0001-dependencies.md says why), and needed all the same.
BESIDE_METADATA = ("torchrec",)
# torchrec asks for the CUDA variant whatever torch is there; the variants have a check of their own.
_CHECKED_ELSEWHERE = frozenset(FBGEMM_VARIANTS)
_PIN = re.compile(r"^([a-z0-9][a-z0-9._-]*)==([^\s;]+)", re.MULTILINE)


def version_of(name: str) -> str | None:
    """The installed version of a distribution; None when it is not installed, or only a torn rest of it is."""
    try:
        return metadata.version(name) or None
    except metadata.PackageNotFoundError:
        return None


def requirements_of(name: str, extra: str = "") -> list[Requirement]:
    """What an installed distribution asks for on this machine.

    Args:
        name: the distribution's name.
        extra: an extra of it; empty for what it always needs.

    Returns:
        Its requirements; those of the extra alone when one is given. Empty when it is not installed.
    """
    try:
        lines = metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return []
    parsed = [Requirement(line) for line in lines]
    always = [r for r in parsed if r.marker is None or r.marker.evaluate({"extra": ""})]
    if not extra:
        return always
    return [r for r in parsed if r not in always and r.marker is not None and r.marker.evaluate({"extra": extra})]


def needed() -> Iterator[tuple[str, Requirement]]:
    """Everything the library needs, what its needs need included, each once with who asks for it.

    Yields:
        (the asking distribution, its requirement), nearest first.
    """
    start = [(DISTRIBUTION, r) for r in requirements_of(DISTRIBUTION)]
    start += [(DISTRIBUTION, Requirement(name)) for name in BESIDE_METADATA]
    yield from _with_needs(start)


def needed_by_extra(extra: str) -> Iterator[tuple[str, Requirement]]:
    """The same for one of our extras alone."""
    yield from _with_needs([(f"{DISTRIBUTION}[{extra}]", r) for r in requirements_of(DISTRIBUTION, extra)])


def _with_needs(start: list[tuple[str, Requirement]]) -> Iterator[tuple[str, Requirement]]:
    waiting, known = list(start), set[tuple[str, str]]()
    while waiting:
        asker, requirement = waiting.pop(0)
        name = canonicalize_name(requirement.name)
        if name in _CHECKED_ELSEWHERE:
            continue
        yield asker, requirement
        for extra in ("", *sorted(requirement.extras)):
            if (name, extra) not in known:
                known.add((name, extra))
                waiting += [(requirement.name, r) for r in requirements_of(name, extra)]


@cache
def locked_versions() -> dict[str, str]:
    """The versions that this release was tested with: name → version, of everything in the locks."""
    pins: dict[str, str] = {}
    for file in lock_files():
        pins |= dict(_PIN.findall(file.read_text()))
    return pins


def lock_files() -> list[Path]:
    """The lock files that ship with this release."""
    folder = shipped_folder("requirements")
    return [folder / "all.txt", folder / "lock.txt"]


def in_checkout() -> bool:
    """Whether recsys runs from a checkout, where `make setup` exists."""
    return shipped_folder("requirements").name == "requirements"


def pip_install(*arguments: str) -> str:
    """The command that installs something into the environment that runs now."""
    return " ".join([sys.executable, "-m", "pip", "install", *arguments])
