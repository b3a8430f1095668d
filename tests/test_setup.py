"""`make setup` with a stand-in for Python and pip: what it installs in which order, and what an interruption leaves."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# Plays python3.11, `-m venv` and `-m pip`. It writes down each pip call; FAKE_* say how the world answers.
STAND_IN = r"""#!/usr/bin/env bash
all="$*"
case "$all" in
  *"-m venv"*)
    venv="${@: -1}"; rm -rf "$venv"; mkdir -p "$venv/bin"; cp "$0" "$venv/bin/python"; echo "venv" >>"$FAKE_CALLS" ;;
  *"-m pip --version"*) ;;
  *"-m pip show"*) [[ "$FAKE_INSTALLED" == *" ${@: -1} "* ]] ;;
  *"-m pip uninstall"*) echo "uninstall ${*: -2}" >>"$FAKE_CALLS" ;;
  *"-m pip"*)
    echo "install ${all##*--retries 5 }" >>"$FAKE_CALLS"
    if [[ -n "${FAKE_NO_CPU_TORCH:-}" && "$*" == *+cpu* ]]; then
      echo "ERROR: No matching distribution found for torch"; exit 1
    fi
    if [[ "${FAKE_FAIL_AT:-}" != "" && "$*" == *"$FAKE_FAIL_AT"* ]]; then
      [[ -z "${FAKE_WROTE:-}" ]] || echo "Installing collected packages: some"
      echo "ERROR: it broke"; exit 1
    fi ;;
  *torch.version.cuda*) echo "${FAKE_CUDA:-}" ;;
  *metadata*) exit 1 ;;
  *--version*) echo "Python 3.11.7" ;;
  *version_info*) ;;
esac
"""


class Checkout:
    """A checkout in a temporary folder, set up by the real script with the stand-in."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "checkout"
        self.calls_file = folder / "calls"
        (self.root / "requirements").mkdir(parents=True)
        for name in ("setup.sh", "lock.txt", "all.txt"):
            shutil.copy(ROOT / "requirements" / name, self.root / "requirements")
        shutil.copy(ROOT / "pyproject.toml", self.root)
        self.python = folder / "python3.11"
        self.python.write_text(STAND_IN)
        self.python.chmod(0o755)

    def set_up(self, **environment: str) -> subprocess.CompletedProcess[str]:
        self.calls_file.write_text("")
        known = {"PYTHON": str(self.python), "FAKE_CALLS": str(self.calls_file), "FAKE_INSTALLED": " "}
        return subprocess.run(
            [str(self.root / "requirements" / "setup.sh")],
            env={"PATH": os.environ["PATH"]} | known | environment,
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def calls(self) -> list[str]:
        return self.calls_file.read_text().splitlines()

    @property
    def mark(self) -> Path:
        return self.root / ".venv" / "recsys-setup.writing"


@pytest.fixture
def checkout(tmp_path):
    return Checkout(tmp_path)


def test_cpu_torch_is_asked_for_first_and_decides_for_the_cpu_fbgemm(checkout):
    assert checkout.set_up().returncode == 0
    assert checkout.calls == [
        "venv",
        "install -c requirements/lock.txt torch==2.13.0+cpu",
        "install --no-deps fbgemm-gpu-cpu==1.8.0",
        "install --no-deps -r requirements/lock.txt",
        "install --no-deps --no-build-isolation -e .",
    ]


def test_where_pip_offers_no_cpu_torch_the_plain_one_and_its_fbgemm_are_taken(checkout):
    result = checkout.set_up(FAKE_NO_CPU_TORCH="1", FAKE_CUDA="13.0")
    assert result.returncode == 0
    assert "offers no CPU build" in result.stdout
    assert checkout.calls[1:4] == [
        "install -c requirements/lock.txt torch==2.13.0+cpu",
        "install -c requirements/lock.txt torch==2.13.0",
        "install --no-deps fbgemm-gpu==1.8.0",
    ]


def test_an_index_for_torch_is_used_when_named(checkout):
    checkout.set_up(TORCH_INDEX_URL="https://example.org/cpu")
    assert checkout.calls[1].startswith("install --index-url https://example.org/cpu")
    assert checkout.calls[1].endswith("torch==2.13.0")


def test_the_fbgemm_that_does_not_fit_is_removed_with_its_files(checkout):
    checkout.set_up(FAKE_INSTALLED=" fbgemm-gpu fbgemm-gpu-cpu ")
    at = checkout.calls.index("uninstall fbgemm-gpu fbgemm-gpu-cpu")
    assert checkout.calls[at + 1] == "install --no-deps fbgemm-gpu-cpu==1.8.0"


def test_every_extra_comes_from_the_larger_lock(checkout):
    checkout.set_up(EXTRAS="all")
    assert "install --no-deps -r requirements/all.txt" in checkout.calls


def test_a_second_run_does_nothing(checkout):
    checkout.set_up()
    result = checkout.set_up()
    assert (result.returncode, result.stdout, checkout.calls) == (0, "", [])


def test_an_environment_with_every_extra_serves_where_fewer_are_asked_for(checkout):
    checkout.set_up(EXTRAS="all")
    checkout.set_up()
    assert checkout.calls == []


def test_a_changed_lock_is_installed_into_the_same_environment(checkout):
    checkout.set_up()
    with (checkout.root / "requirements" / "lock.txt").open("a") as lock:
        lock.write("another==1.0\n")
    checkout.set_up()
    assert "venv" not in checkout.calls
    assert "install --no-deps -r requirements/lock.txt" in checkout.calls


def test_a_run_that_was_killed_while_writing_starts_afresh(checkout):
    checkout.set_up()
    checkout.mark.touch()
    (checkout.root / ".venv" / "recsys-setup.log").write_text("Installing collected packages: torch\n")
    result = checkout.set_up()
    assert "interrupted" in result.stdout
    assert checkout.calls[0] == "venv"
    assert not checkout.mark.exists()


def test_a_run_that_was_killed_while_fetching_goes_on(checkout):
    checkout.set_up()
    checkout.mark.touch()
    (checkout.root / ".venv" / "recsys-setup.log").write_text("Collecting torch==2.13.0\n")
    assert checkout.set_up().returncode == 0
    assert "venv" not in checkout.calls
    assert "install --no-deps -r requirements/lock.txt" in checkout.calls


def test_an_install_that_fails_while_writing_is_not_tried_again_and_leaves_its_mark(checkout):
    result = checkout.set_up(FAKE_FAIL_AT="fbgemm", FAKE_WROTE="1")
    assert result.returncode == 1
    assert "ERROR: it broke" in result.stderr
    assert "recsys-setup.log" in result.stderr
    assert len([call for call in checkout.calls if "fbgemm" in call]) == 1
    assert checkout.mark.exists()


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"PYTHON": "/bin/false"}, "PYTHON=/bin/false is not a CPython 3.11"),
        ({"EXTRAS": "everything"}, "EXTRAS=everything is not known"),
    ],
)
def test_a_mistake_in_the_call_is_named(checkout, environment, says):
    result = checkout.set_up(**environment)
    assert result.returncode == 1
    assert says in result.stderr
    assert checkout.calls == []


def test_without_a_fitting_python_it_says_how_to_get_one(checkout, tmp_path):
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("bash", "env", "dirname", "cat", "cksum", "rm", "grep"):
        (tools / tool).symlink_to(shutil.which(tool))
    result = checkout.set_up(PATH=str(tools), PYTHON="")
    assert result.returncode == 1
    assert "No CPython 3.11 found" in result.stderr
    assert "make setup PYTHON=" in result.stderr
