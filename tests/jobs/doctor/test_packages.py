"""Packages against requirements and lock, on made-up metadata."""

from __future__ import annotations

import sys
from importlib import metadata

import pytest
from packaging.requirements import Requirement

from recsys.jobs.doctor import installed, packages

LOCKED = {"polars": "2.1.4", "numpy": "2.4.1", "feast": "0.67.0", "duckdb": "1.4", "torchrec": "1.8.0"}
REQUIRES = {
    "recsys": ["polars>=2.1", "feast[duckdb]==0.67.0", "redis>=5; extra == 'redis'", "tomli; python_version < '3.11'"],
    "feast": ["numpy>=2", "duckdb>=1; extra == 'duckdb'", "snowflake; extra == 'snowflake'"],
    "torchrec": ["fbgemm-gpu", "numpy"],
}
ALL_THERE = LOCKED | {"recsys": "0.1.0"}


@pytest.fixture
def environment(monkeypatch):
    def make(versions):
        def version(name):
            if name not in versions:
                raise metadata.PackageNotFoundError(name)
            return versions[name]

        def requires(name):
            version(name)
            return REQUIRES.get(name)

        monkeypatch.setattr(installed.metadata, "version", version)
        monkeypatch.setattr(installed.metadata, "requires", requires)
        monkeypatch.setattr(installed, "locked_versions", lambda: LOCKED)

    return make


def without(name):
    return {key: value for key, value in ALL_THERE.items() if key != name}


def test_an_environment_as_locked_is_fine(environment):
    environment(ALL_THERE)
    (finding,) = packages.check_packages()
    assert finding.status == "ok"
    assert "All 5 needed packages" in finding.says


@pytest.mark.parametrize("name", ["polars", "torchrec", "numpy", "duckdb"], ids=["ours", "beside", "deep", "by extra"])
def test_a_missing_package_is_named_with_the_command_that_installs_the_locked_one(environment, name):
    environment(without(name))
    (finding,) = packages.check_packages()
    assert (finding.check, finding.status) == (name, "problem")
    assert finding.mend == f"{sys.executable} -m pip install --no-deps {name}=={LOCKED[name]}"


def test_a_version_outside_what_is_asked_for_is_a_problem(environment):
    environment(ALL_THERE | {"feast": "0.68.0"})
    (finding,) = packages.check_packages()
    assert finding.status == "problem"
    assert finding.says == "feast is 0.68.0, and recsys needs ==0.67.0."


def test_a_version_that_fits_but_is_not_the_tested_one_is_a_note(environment):
    environment(ALL_THERE | {"polars": "2.1.9"})
    (finding,) = packages.check_packages()
    assert finding.status == "note"
    assert "polars 2.1.9 (tested: 2.1.4)" in finding.says
    assert finding.mend.endswith("polars==2.1.4")


def test_without_its_own_metadata_recsys_asks_to_be_installed(environment):
    environment(without("recsys"))
    (finding,) = packages.check_packages()
    assert finding.status == "problem"
    assert finding.mend.endswith("-e .")


def test_torchrecs_wish_for_the_cuda_variant_is_not_followed(environment):
    environment(ALL_THERE)
    assert "fbgemm-gpu" not in {requirement.name for _, requirement in installed.needed()}


def test_a_missing_extra_is_a_note(environment):
    environment(ALL_THERE)
    extras = {finding.check: finding for finding in packages.check_extras()}
    assert extras["extra [redis]"].status == "note"
    assert "redis" in extras["extra [redis]"].says


def test_an_extra_that_is_there_is_fine(environment):
    environment(ALL_THERE | {"redis": "6.0"})
    extras = {finding.check: finding for finding in packages.check_extras()}
    assert extras["extra [redis]"].status == "ok"


def test_another_python_is_a_problem(monkeypatch):
    monkeypatch.setattr(packages.sys, "version_info", (3, 12, 1))
    finding = packages.check_python()
    assert finding.status == "problem"
    assert "3.12.1" in finding.says


def test_an_extra_of_a_requirement_is_followed(environment):
    environment(ALL_THERE)
    assert Requirement("duckdb>=1; extra == 'duckdb'") in [requirement for _, requirement in installed.needed()]
