"""Checks that the large libraries can be imported as the product uses them, each in a process of its own."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

from packaging.utils import canonicalize_name

from recsys.jobs.doctor import installed
from recsys.jobs.doctor.finding import Finding
from recsys.jobs.doctor.probe import run_probe

LIBRARIES = {
    "torchrec": "from torchrec import EmbeddingBagCollection, KeyedJaggedTensor",
    "feast": "import feast, duckdb, ibis; import feast.infra.offline_stores.duckdb",
    "ray": "import ray, ray.data, ray.train.torch",
}

_MISSING_MODULE = re.compile(r"No module named '([^'.]+)")


def check_library(name: str) -> Finding:
    """Whether the library can be imported.

    Args:
        name: one of `LIBRARIES`.
    """
    probe = run_probe(LIBRARIES[name])
    if probe.worked:
        return Finding(name, "ok", f"{name} {installed.version_of(name)} can be imported.")
    return Finding(name, "problem", f"{name} cannot be imported: {probe.output}.", _mend(name, probe.output))


def _mend(name: str, error: str) -> str | None:
    """Installs what is missing when the error names it, else the library itself again."""
    locked = installed.locked_versions()
    missing = _MISSING_MODULE.search(error)
    if missing is not None and (other := canonicalize_name(missing[1])) in locked:
        return installed.pip_install("--no-deps", "--force-reinstall", f"{other}=={locked[other]}")
    return (
        installed.pip_install("--no-deps", "--force-reinstall", f"{name}=={locked[name]}") if name in locked else None
    )


def check_mlflow() -> Finding:
    """Whether `import mlflow`, from the current folder, is MLflow and not a folder of that name."""
    probe = run_probe("import mlflow; print(mlflow.__file__)")
    reinstall = installed.pip_install(
        "--no-deps", "--force-reinstall", f"mlflow=={installed.locked_versions().get('mlflow', '')}"
    )
    try:
        real = Path(str(metadata.distribution("mlflow").locate_file("mlflow/__init__.py"))).resolve()
    except metadata.PackageNotFoundError:
        return Finding("mlflow", "problem", "mlflow is not installed.", reinstall.replace(" --force-reinstall", ""))
    found = probe.output
    if probe.worked and found != "None" and Path(found).resolve() == real:
        return Finding("mlflow", "ok", f"mlflow {installed.version_of('mlflow')} can be imported.")
    if probe.worked and found != "None":
        folder = Path(found).parent
        says = f"`import mlflow` finds {folder}, which hides the real package at {real.parent}."
        return Finding("mlflow", "problem", says, f"rm {found}")
    says = f"mlflow cannot be imported: {found if not probe.worked else 'only an empty folder of that name is found'}."
    return Finding("mlflow", "problem", says, reinstall)
