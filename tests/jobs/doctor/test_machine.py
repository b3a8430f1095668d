"""The machine's room, memory and cores."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from recsys.jobs.doctor import machine
from recsys.jobs.doctor.machine import GIB


def test_a_home_that_can_be_written_is_fine_and_is_not_made(recsys_home):
    assert machine.check_home().status == "ok"
    assert not recsys_home.exists()


def test_a_home_that_cannot_be_written_is_a_problem(monkeypatch):
    def refused(dir):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(machine.tempfile, "TemporaryFile", refused)
    finding = machine.check_home()
    assert finding.status == "problem"
    assert "Permission denied" in finding.says
    assert "RECSYS_HOME" in finding.mend


@pytest.mark.parametrize(
    ("free", "status"), [(GIB // 2, "problem"), (3 * GIB, "note"), (50 * GIB, "ok")], ids=["full", "tight", "roomy"]
)
def test_disk(monkeypatch, free, status):
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda path: SimpleNamespace(free=free))
    assert machine.check_disk().status == status


def test_a_containers_limit_counts_when_it_is_below_the_machines_memory(monkeypatch, tmp_path):
    limit = tmp_path / "memory.max"
    limit.write_text(f"{GIB // 4}\n")
    monkeypatch.setattr(machine, "_CONTAINER_LIMIT", limit)
    assert machine.memory_limit() == GIB // 4
    assert machine.check_memory().status == "note"


def test_a_container_without_a_limit_has_the_machines_memory(monkeypatch, tmp_path):
    limit = tmp_path / "memory.max"
    limit.write_text("max\n")
    monkeypatch.setattr(machine, "_CONTAINER_LIMIT", limit)
    assert machine.memory_limit() > GIB // 4


def test_one_core_is_noted(monkeypatch):
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda pid: {0}, raising=False)
    assert machine.check_cores().status == "note"


def test_little_shared_memory_is_noted_with_dockers_option(monkeypatch):
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda path: SimpleNamespace(total=64 << 20))
    finding = machine.check_shared_memory()
    assert finding.status == "note"
    assert "--shm-size" in finding.mend
