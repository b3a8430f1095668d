"""Whoever has a log open goes over to the one that takes its place; nothing is acknowledged into a lost file."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from recsys.errors import ConfigError, DataError
from recsys.events.database import JOURNAL_VARIABLE, Database
from recsys.events.log import EventLog


@pytest.fixture
def logs(tmp_path, canonical):
    """A log with an event, and another one, with another event, that is to take its place."""
    made = [EventLog(tmp_path / name / "log.sqlite") for name in ("events", "restored")]
    for log, item in zip(made, ("former", "new"), strict=True):
        log.append(canonical(("ann", item, 1)))
        log.close()
    return made


def give_way(former: EventLog, restored: EventLog) -> None:
    former.path.parent.rename(former.path.parent.with_name("aside"))
    restored.path.parent.rename(former.path.parent)


def items(log: EventLog) -> list[str]:
    return log.read()["item_id"].to_list()


def test_an_open_log_is_read_and_written_where_it_is_now(logs, canonical):
    former, restored = logs
    assert items(former) == ["former"]
    give_way(former, restored)
    assert items(former) == ["new"]
    former.append(canonical(("ann", "later", 2)))
    assert items(EventLog(former.path)) == ["new", "later"]


def test_an_append_that_waited_while_the_log_gave_way_is_in_the_new_one(logs, canonical):
    former, restored = logs
    started, appended = threading.Event(), []

    def append():
        former.position()
        started.set()
        appended.append(former.append(canonical(("ann", "waited", 2))))

    thread = threading.Thread(target=append)
    with EventLog(former.path).alone():
        thread.start()
        assert started.wait(5)
        assert not threading.Event().wait(0.2)
        give_way(former, restored)
    thread.join()
    assert appended[0].accepted == 1
    assert items(EventLog(former.path)) == ["new", "waited"]


def test_closing_a_log_that_gave_way_leaves_the_new_ones_files_alone(logs, canonical):
    former, restored = logs
    former.append(canonical(("ann", "more", 2)))
    give_way(former, restored)
    new = EventLog(former.path)
    new.append(canonical(("ann", "later", 3)))
    former.close()
    assert former.path.with_name("log.sqlite-wal").exists()
    assert items(EventLog(former.path)) == ["new", "later"]


def test_who_had_a_log_open_makes_none_where_it_gave_way(logs):
    former, _ = logs
    former.position()
    former.path.parent.rename(former.path.parent.with_name("aside"))
    with pytest.raises(DataError, match="is gone"):
        former.position()
    assert not former.path.parent.exists()


def test_a_threads_connection_is_kept_while_the_file_is_the_same(tmp_path):
    database = Database(tmp_path / "log.sqlite")
    assert database.connection() is database.connection()


def is_in_wal(log: EventLog) -> bool:
    """As sqlite's file format has it: 2 is a write-ahead log, 1 a rollback journal."""
    return log.path.read_bytes()[18:20] == b"\x02\x02"


def test_machines_that_share_no_memory_keep_a_rollback_journal(tmp_path, canonical, monkeypatch):
    log = EventLog(tmp_path / "log.sqlite")
    log.append(canonical(("ann", "before", 1)))
    assert is_in_wal(log)
    log.close()
    monkeypatch.setenv(JOURNAL_VARIABLE, "rollback")
    again = EventLog(log.path)
    again.append(canonical(("ann", "after", 2)))
    assert not is_in_wal(again)
    imports = "import sys; from pathlib import Path; from recsys.events.log import EventLog"
    seen = f"{imports}; print(EventLog(Path(sys.argv[1])).count())"
    for number in range(2, 5):
        other = subprocess.run([sys.executable, "-c", seen, log.path], capture_output=True, text=True, check=True)
        assert other.stdout.strip() == str(number)
        again.append(canonical(("bob", f"item {number}", number)))
    assert not log.path.with_name("log.sqlite-wal").exists()
    again.close()
    monkeypatch.delenv(JOURNAL_VARIABLE)
    assert items(EventLog(log.path))[:2] == ["before", "after"]
    assert is_in_wal(log)


def test_a_journal_that_does_not_exist_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv(JOURNAL_VARIABLE, "memory")
    with pytest.raises(ConfigError, match=r"RECSYS_JOURNAL is 'memory'.*wal or rollback"):
        EventLog(tmp_path / "log.sqlite").position()
