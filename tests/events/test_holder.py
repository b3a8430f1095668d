"""A holder counts as ended only when it certainly is: by process id, start and machine."""

import os
import signal
import subprocess
import sys
from dataclasses import replace

import pytest

from recsys.events import holder
from recsys.events.holder import Holder
from recsys.events.lease import FoldLease

HOLD = """
import sys; from pathlib import Path
from recsys.events.lease import FoldLease
print(FoldLease(Path(sys.argv[1]), seconds=1e6).acquire("maintenance"), flush=True); sys.stdin.read()
"""


@pytest.fixture
def sleeper():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield child
    child.kill()
    child.wait()


@pytest.fixture
def sleepers(sleeper):
    return Holder(sleeper.pid, "ab12", holder._state(sleeper.pid)[1], holder._machine())


def test_it_is_read_as_it_was_written_and_told_without_what_only_machines_compare():
    here = Holder.here("ab12")
    assert Holder.read(str(here)) == here
    assert holder.named(str(here)) == f"process {os.getpid()} (ab12)"
    assert Holder.read("process 7 (ab12)") is None
    assert holder.named("process 7 (ab12)") == "process 7 (ab12)"


def test_a_process_that_runs_has_not_ended(sleepers):
    assert not Holder.here("ab12").has_ended()
    assert not sleepers.has_ended()


@pytest.mark.parametrize("reaped", [False, True])
def test_a_process_that_was_killed_has_ended_even_before_its_parent_notices(sleeper, sleepers, reaped):
    sleeper.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | (0 if reaped else os.WNOWAIT))
    assert sleepers.has_ended()


def test_a_process_id_that_was_given_again_is_another_process(sleepers):
    assert replace(sleepers, started=sleepers.started - 1).has_ended()


def test_of_another_machine_nothing_is_known(sleeper, sleepers):
    sleeper.kill()
    sleeper.wait()
    assert sleepers.has_ended()
    assert not replace(sleepers, machine="elsewhere/pid:[1]").has_ended()


def test_a_main_thread_that_ended_before_the_others_is_no_end(sleepers, monkeypatch):
    monkeypatch.setattr(holder, "_state", lambda _: ("Z", sleepers.started))
    monkeypatch.setattr(holder, "_threads", lambda _: 2)
    assert not sleepers.has_ended()


def test_where_the_operating_system_does_not_say_the_expiry_counts(sleeper, sleepers, monkeypatch, tmp_path):
    monkeypatch.setattr(holder, "_PROC", tmp_path)
    sleeper.kill()
    sleeper.wait()
    assert Holder.here("ab12") is None
    assert not sleepers.has_ended()
    lease = FoldLease(tmp_path / "log.sqlite")
    assert lease.acquire("maintenance") == 1
    assert lease.holding().startswith(f"process {os.getpid()} (")


def test_the_lease_of_a_killed_job_passes_on_at_once_and_its_token_is_spent(tmp_path):
    path = tmp_path / "log.sqlite"
    job = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    lease = FoldLease(path)
    try:
        token = int(job.stdout.readline())
        assert lease.acquire("maintenance") is None
        assert lease.holding().startswith(f"process {job.pid} (")
    finally:
        job.kill()
        job.wait()
    assert lease.holding() is None
    assert lease.acquire("serving") == token + 1
