"""`recsys doctor`: looks at the environment and says in plain words what is wrong and which command mends it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from recsys.jobs.doctor import libraries, machine, packages, torch_variant
from recsys.jobs.doctor.finding import Diagnosis, Finding

__all__ = ["Diagnosis", "Finding", "diagnose"]

Check = Callable[[], Finding | Iterable[Finding]]


def diagnose() -> Diagnosis:
    """Looks at everything the library needs, wants, or can use. Changes nothing.

    Returns:
        The findings in a fixed order. A check that fails itself becomes a problem; it never raises.
    """
    with ThreadPoolExecutor(max_workers=2) as pool:
        return Diagnosis(tuple(finding for findings in pool.map(_run, _checks()) for finding in findings))


def _checks() -> list[tuple[str, Check]]:
    return [
        ("Python", packages.check_python),
        ("packages", packages.check_packages),
        ("torch", torch_variant.check_torch),
        *((name, partial(libraries.check_library, name)) for name in libraries.LIBRARIES),
        ("mlflow", libraries.check_mlflow),
        ("workspaces", machine.check_home),
        ("disk", machine.check_disk),
        ("memory", machine.check_memory),
        ("shared memory", machine.check_shared_memory),
        ("cores", machine.check_cores),
        ("extras", packages.check_extras),
    ]


def _run(named: tuple[str, Check]) -> list[Finding]:
    name, check = named
    try:
        found = check()
    except Exception as error:
        return [Finding(name, "problem", f"This check itself failed: {type(error).__name__}: {error}.")]
    return [found] if isinstance(found, Finding) else list(found)
