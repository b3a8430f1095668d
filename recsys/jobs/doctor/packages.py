"""Checks the interpreter, the packages and their versions against what this release asks for and was tested with."""

from __future__ import annotations

import sys

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from recsys.jobs.doctor import installed
from recsys.jobs.doctor.finding import Finding

EXTRAS = {
    "text": "sentences of taste and item texts",
    "redis": "the online store on Redis",
    "postgres": "registries on PostgreSQL",
    "bench": "the benchmarks' peers and data",
    "notebooks": "the notebooks",
}


def check_python() -> Finding:
    """CPython 3.11 is the one version that every dependency has wheels for."""
    name, version = sys.implementation.name, ".".join(map(str, sys.version_info[:3]))
    if name == "cpython" and sys.version_info[:2] == (3, 11):
        return Finding("Python", "ok", f"CPython {version} at {sys.executable}.")
    return Finding(
        "Python",
        "problem",
        f"This is {name} {version}; recsys needs CPython 3.11.",
        "rm -rf .venv && make setup PYTHON=/path/to/python3.11",
    )


def check_packages() -> list[Finding]:
    """Every needed package is there, in a version that all who need it accept; strays from the lock are noted."""
    if installed.version_of(installed.DISTRIBUTION) is None:
        return [
            Finding(
                "packages",
                "problem",
                "recsys runs from a folder without being installed, so its needs cannot be read.",
                installed.pip_install("--no-deps", "--no-build-isolation", "-e", "."),
            )
        ]
    problems: dict[str, Finding] = {}
    strays: dict[str, str] = {}
    count = set[str]()
    for asker, requirement in installed.needed():
        name = canonicalize_name(requirement.name)
        count.add(name)
        problem = _problem(asker, requirement)
        if problem is not None:
            problems.setdefault(name, problem)
        elif (stray := _stray(name)) is not None:
            strays[name] = stray
    if problems:
        return list(problems.values())
    return [_summary(len(count), strays)]


def _problem(asker: str, requirement: Requirement) -> Finding | None:
    name = canonicalize_name(requirement.name)
    have = installed.version_of(name)
    if have is not None and requirement.specifier.contains(have, prereleases=True):
        return None
    wanted = installed.locked_versions().get(name)
    pin = f"{name}=={wanted}" if wanted else f"'{name}{requirement.specifier}'"
    says = (
        f"{name} is missing; {asker} needs it."
        if have is None
        else f"{name} is {have}, and {asker} needs {requirement.specifier}."
    )
    return Finding(name, "problem", says, installed.pip_install("--no-deps" if wanted else "", pin).replace("  ", " "))


def _stray(name: str) -> str | None:
    have, wanted = installed.version_of(name), installed.locked_versions().get(name)
    return None if wanted is None or have == wanted else f"{name} {have} (tested: {wanted})"


def _summary(count: int, strays: dict[str, str]) -> Finding:
    if not strays:
        return Finding("packages", "ok", f"All {count} needed packages are there, in the versions of the lock.")
    pins = [f"{name}=={installed.locked_versions()[name]}" for name in sorted(strays)]
    return Finding(
        "packages",
        "note",
        f"All {count} needed packages are there; other than tested: {', '.join(sorted(strays.values()))}.",
        installed.pip_install("--no-deps", *pins),
    )


def check_extras() -> list[Finding]:
    """Which optional parts are there. A missing one is never a problem."""
    return [_extra(name, purpose) for name, purpose in EXTRAS.items()]


def _extra(extra: str, purpose: str) -> Finding:
    check = f"extra [{extra}]"
    wanted = {canonicalize_name(requirement.name) for _, requirement in installed.needed_by_extra(extra)}
    if not wanted:
        return Finding(check, "note", "Cannot be told: this installation of recsys names no such extra.")
    missing = sorted(name for name in wanted if installed.version_of(name) is None)
    if not missing:
        return Finding(check, "ok", f"There ({purpose}).")
    mend = "make setup EXTRAS=all" if installed.in_checkout() else installed.pip_install(f"'recsys[{extra}]'")
    return Finding(check, "note", f"Not there ({purpose}): {', '.join(missing)}.", mend)
