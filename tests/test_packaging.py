"""What is promised of the locks, the metadata, the layout and the wheel."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from recsys import __version__

ROOT = Path(__file__).resolve().parents[1]
LOCKS = ("requirements/lock.txt", "requirements/all.txt")
OUTSIDE_THE_LOCKS = re.compile(r"torch|fbgemm.*|nvidia-.*|triton|torchvision|torchaudio")
OUTSIDE_THE_METADATA = re.compile(r"torchrec|fbgemm.*")


def pins(lock: str) -> dict[str, str]:
    lines = (ROOT / lock).read_text().splitlines()
    return dict(line.split("==") for line in lines if line and not line.lstrip().startswith("#"))


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.mark.parametrize("lock", LOCKS)
def test_locks_leave_torch_and_fbgemm_to_the_set_up(lock):
    assert [name for name in pins(lock) if OUTSIDE_THE_LOCKS.fullmatch(name)] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_locks_hold_torchrec_and_what_torch_needs(lock):
    assert {"torchrec", "recbole", "setuptools", "sympy", "networkx", "jinja2", "filelock", "fsspec"} <= set(pins(lock))


def test_both_locks_agree_on_every_version():
    small, large = (pins(lock) for lock in LOCKS)
    assert {name: version for name, version in small.items() if large.get(name) != version} == {}


@pytest.mark.parametrize(
    ("lock", "extras"),
    [
        (LOCKS[0], ("dev", "notebooks", "large", "mlflow-server")),
        (LOCKS[1], ("dev", "notebooks", "large", "text", "redis", "postgres", "mlflow-server", "bench")),
    ],
)
def test_locks_satisfy_every_declared_requirement(lock, extras):
    declared = project()["dependencies"] + [line for e in extras for line in project()["optional-dependencies"][e]]
    locked = pins(lock)
    unmet = [
        line
        for line in declared
        if (requirement := Requirement(line)).name != "torch"
        and not requirement.specifier.contains(locked.get(canonicalize_name(requirement.name), "0.dev0"))
    ]
    assert unmet == []


def test_installed_metadata_never_asks_for_torchrec_or_fbgemm():
    asked = {canonicalize_name(Requirement(line).name) for line in metadata.requires("recsys") or []}
    assert "torch" in asked
    assert [name for name in asked if OUTSIDE_THE_METADATA.fullmatch(name)] == []


def test_the_version_is_one_and_the_same_everywhere():
    assert project()["version"] == __version__ == metadata.version("recsys")
    assert f"## [{__version__}]" in (ROOT / "CHANGELOG.md").read_text()


def test_the_mlflow_folder_is_no_package():
    assert [str(path) for path in (ROOT / "mlflow").rglob("__init__.py*")] == []


def test_mlflow_imported_from_the_root_is_the_real_package():
    real = metadata.distribution("mlflow").locate_file("mlflow/__init__.py")
    # -c puts the current folder first on sys.path; the package is found without running it.
    code = "import importlib.util; print(importlib.util.find_spec('mlflow').origin)"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == str(real)


@pytest.mark.parametrize("script", [".ci/run", "requirements/setup.sh"])
def test_scripts_can_be_executed(script):
    assert os.access(ROOT / script, os.X_OK)


@pytest.fixture(scope="module")
def outside(tmp_path_factory) -> Path:
    """A virtual environment far from the checkout, with the built wheel and, behind it, the packages of this one."""
    folder = tmp_path_factory.mktemp("outside")
    # Built from a copy, so that neither the build nor stray files of the checkout can matter.
    source = folder / "source"
    source.mkdir()
    for name in ("recsys", "features", "mlflow", "requirements"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, source)
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(source)]
    subprocess.run(build, check=True, capture_output=True)
    shutil.rmtree(source)

    venv.create(folder / "venv", with_pip=False, symlinks=True)
    python = folder / "venv" / "bin" / "python"
    (wheel,) = folder.glob("recsys-*.whl")
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "--no-deps", "--no-index"]
    subprocess.run([*install, str(wheel)], check=True, capture_output=True)
    # A plain path line: the .pth files in there, the editable install's among them, are not followed.
    (site,) = (folder / "venv" / "lib").glob("python*/site-packages")
    (site / "behind.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder


def run_outside(outside: Path, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [str(outside / "venv" / "bin" / program), *arguments],
        cwd=outside,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_the_wheel_runs_outside_the_checkout(outside):
    result = run_outside(outside, "recsys", "--version")
    assert (result.stdout, result.returncode) == (f"recsys {__version__}\n", 0)


@pytest.mark.slow
def test_the_wheel_brings_its_declarations_along(outside):
    code = (
        "import recsys, json, sys; from recsys.shipped import shipped_folder as f\n"
        "names = ('features', 'mlflow', 'requirements')\n"
        "print(json.dumps({'package': recsys.__file__, **{n: sorted(p.name for p in f(n).iterdir()) for n in names}}))"
    )
    result = run_outside(outside, "python", "-c", code)
    found = json.loads(result.stdout)
    assert found["package"].startswith(str(outside))
    for name in ("features", "mlflow", "requirements"):
        in_checkout = {path.name for path in (ROOT / name).iterdir()} - {"__pycache__", "setup.sh"}
        assert set(found[name]) - {"__pycache__"} == in_checkout
        assert in_checkout


@pytest.mark.slow
def test_every_module_of_the_wheel_can_be_imported(outside):
    code = (
        "import importlib, pkgutil, recsys\n"
        "names = [m.name for m in pkgutil.walk_packages(recsys.__path__, 'recsys.')]\n"
        "[importlib.import_module(name) for name in names]\n"
        "print(len(names))"
    )
    result = run_outside(outside, "python", "-W", "ignore", "-c", code)
    assert result.returncode == 0, result.stderr
    assert int(result.stdout.split()[-1]) > 50


@pytest.mark.slow
def test_the_doctor_finds_the_wheels_environment_healthy(outside):
    result = run_outside(outside, "recsys", "doctor", "--json")
    diagnosis = json.loads(result.stdout.splitlines()[-1])
    assert [f for f in diagnosis["findings"] if f["status"] == "problem"] == []
    assert result.returncode == 0
