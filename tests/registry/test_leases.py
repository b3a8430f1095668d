"""A version in use is seen by others for as long as its process lives, and not a moment longer."""

import os
import signal
import subprocess
import sys

import pytest

from recsys.registry.leases import Lease, in_use, versions_in_use

HOLD = """
import sys, time
from pathlib import Path
from recsys.registry.leases import Lease
from recsys.workspace import Workspace
lease = Lease(Workspace("tiny", Path(sys.argv[1])), "3", "service")
print("held", flush=True)
time.sleep(600)
"""


def test_nothing_is_in_use_at_first(workspace):
    assert versions_in_use(workspace) == {}


def test_holders_are_told_by_version(workspace):
    with in_use(workspace, "2", "batch"), in_use(workspace, "2", "service"), in_use(workspace, "10", "service"):
        found = versions_in_use(workspace)
        assert found.keys() == {"2", "10"}
        assert sorted(found["2"]) == [f"{what}, process {os.getpid()}" for what in ("batch", "service")]
    assert versions_in_use(workspace) == {}


def test_a_lease_ends_with_the_last_that_refers_to_it(workspace):
    leases = [Lease(workspace, "1", "service")]
    assert versions_in_use(workspace)
    leases.clear()
    assert versions_in_use(workspace) == {}
    assert list((workspace.root / "in-use").iterdir()) == []


def test_a_lease_may_be_released_twice(workspace):
    lease = Lease(workspace, "1", "service")
    lease.release()
    lease.release()
    assert versions_in_use(workspace) == {}


@pytest.mark.slow
def test_a_killed_process_holds_nothing(workspace):
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(workspace.home)], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert versions_in_use(workspace) == {"3": [f"service, process {holder.pid}"]}
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.communicate()
    assert versions_in_use(workspace) == {}
