"""The large libraries: importable, and the right ones."""

from __future__ import annotations

from importlib import metadata

import pytest

from recsys.jobs import doctor
from recsys.jobs.doctor import libraries
from recsys.jobs.doctor.probe import Probe, run_probe


@pytest.fixture
def answered(monkeypatch):
    return lambda probe: monkeypatch.setattr(libraries, "run_probe", lambda code: probe)


def test_an_import_error_is_passed_on_in_its_own_words(answered):
    answered(Probe(False, "ImportError: cannot import name 'foo'"))
    finding = libraries.check_library("feast")
    assert finding.status == "problem"
    assert "cannot import name 'foo'" in finding.says
    assert "feast==" in finding.mend


def test_a_missing_module_is_what_gets_installed(answered, monkeypatch):
    monkeypatch.setattr(libraries.installed, "locked_versions", lambda: {"torchrec": "1.8.0", "tensordict": "0.10"})
    answered(Probe(False, "ModuleNotFoundError: No module named 'tensordict.nn'"))
    assert libraries.check_library("torchrec").mend.endswith(" tensordict==0.10")


def test_the_real_mlflow_is_fine(answered):
    real = metadata.distribution("mlflow").locate_file("mlflow/__init__.py")
    answered(Probe(True, str(real)))
    assert libraries.check_mlflow().status == "ok"


def test_a_folder_that_hides_mlflow_is_named(answered):
    answered(Probe(True, "/checkout/mlflow/__init__.py"))
    finding = libraries.check_mlflow()
    assert finding.status == "problem"
    assert "finds /checkout/mlflow" in finding.says
    assert finding.mend == "rm /checkout/mlflow/__init__.py"


def test_an_empty_folder_in_place_of_mlflow_is_a_problem(answered):
    answered(Probe(True, "None"))
    assert libraries.check_mlflow().status == "problem"


def test_a_probe_keeps_the_last_line_that_was_printed():
    assert run_probe("print('one'); print('two')") == Probe(True, "two")


def test_a_probe_that_raises_ends_with_its_error():
    assert run_probe("raise OSError('no such library')") == Probe(False, "OSError: no such library")


def test_a_probe_that_crashes_does_not_take_the_doctor_down():
    probe = run_probe("import os; os.abort()")
    assert not probe.worked
    assert "signal 6" in probe.output


def test_a_check_that_fails_itself_becomes_a_problem(monkeypatch):
    def broken():
        raise RuntimeError("boom")

    monkeypatch.setattr(doctor, "_checks", lambda: [("disk", broken)])
    diagnosis = doctor.diagnose()
    assert not diagnosis.healthy
    assert "boom" in diagnosis.problems[0].says
