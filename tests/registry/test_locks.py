"""A lock tells the second comer who holds it, even when asked before the holder has written its name."""

import fcntl
import os
import threading

import pytest

from recsys.errors import RegistryError
from recsys.registry import locks


def test_the_second_comer_is_told_which_process_holds_the_lock(tmp_path):
    path = tmp_path / "lock"
    told = pytest.raises(RegistryError, match=rf"Another promotion is under way \(process {os.getpid()}; lock")
    with locks.exclusive(path, "promotion"), told, locks.exclusive(path, "promotion"):
        pytest.fail("two hold it")
    assert path.read_text() == "", "who has ended is named no longer"


def test_a_holder_that_has_not_yet_written_its_name_is_waited_for(tmp_path):
    path = tmp_path / "lock"
    with path.open("a+") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)

        def write_name():
            holder.write("process 77")
            holder.flush()

        timer = threading.Timer(0.2, write_name)
        timer.start()
        with pytest.raises(RegistryError, match="process 77"), locks.exclusive(path, "promotion"):
            pytest.fail("two hold it")
        timer.join()


def test_a_holder_that_never_names_itself_is_another_process(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "NAMING_SECONDS", 0.05)
    path = tmp_path / "lock"
    with path.open("a+") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        with pytest.raises(RegistryError, match="another process"), locks.exclusive(path, "promotion"):
            pytest.fail("two hold it")
