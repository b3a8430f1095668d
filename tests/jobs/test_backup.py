"""A backup is whole or refused; restoring it gives the same workspace, without those who were deleted meanwhile."""

from __future__ import annotations

import shutil
import sqlite3
import threading
import zipfile
from contextlib import closing
from pathlib import Path

import orjson
import polars as pl
import pytest
from typer.testing import CliRunner

from recsys.cli.app import build_app
from recsys.data.catalogue import Catalogue
from recsys.errors import ConfigError, DataError, LeaseError
from recsys.events.impressions import Impression, ImpressionLog
from recsys.events.lease import FoldLease
from recsys.events.log import EventLog
from recsys.events.removals import Removals
from recsys.jobs import archive
from recsys.jobs import restore as restoring
from recsys.jobs.append import append_event
from recsys.jobs.backup import backup
from recsys.jobs.delete_users import delete_users
from recsys.jobs.ingest import ingest_folder
from recsys.jobs.materialise import materialise
from recsys.jobs.restore import restore
from recsys.workspace import HOME_VARIABLE, Workspace

GONE = "unmistakable-user"


@pytest.fixture
def workspace(tmp_path, recsys_home):
    """A workspace that was never materialised: nothing here needs Feast."""
    folder = tmp_path / "brought"
    folder.mkdir()
    rows = [(user, f"i{n}", 1_600_000_000 + n) for n in range(5) for user in ("ann", GONE)]
    pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row").write_parquet(
        folder / "events.parquet"
    )
    pl.DataFrame({"user_id": ["ann", GONE, "silent"], "age": [1.0, 2.0, 3.0]}).write_parquet(folder / "users.parquet")
    target = Workspace.named("shop")
    ingest_folder(target, folder)
    return target


@pytest.fixture
def file(workspace, tmp_path):
    path = tmp_path / "shop.backup"
    backup(workspace, path)
    return path


def elsewhere(monkeypatch, folder) -> Workspace:
    monkeypatch.setenv(HOME_VARIABLE, str(folder))
    return Workspace.named("shop")


def held(workspace):
    return EventLog(workspace.event_log).read(), Catalogue.load(workspace).users, Catalogue.load(workspace).items


def test_a_restored_workspace_holds_what_the_original_held(workspace, file, tmp_path, monkeypatch):
    expected = held(workspace)
    restored = elsewhere(monkeypatch, tmp_path / "other")
    result = restore(file)
    assert (result.workspace, result.position, result.replaced, result.registry) == ("shop", 10, False, "none")
    assert all(now.equals(then) for now, then in zip(held(restored), expected, strict=True))
    assert append_event(restored, {"user_id": "ann", "item_id": "x"}).position == 11


def test_a_backup_taken_while_events_come_in_is_consistent(workspace, tmp_path, monkeypatch):
    done = threading.Event()

    def write():
        while not done.is_set():
            append_event(workspace, {"user_id": "ann", "item_id": "more"})

    writer = threading.Thread(target=write)
    writer.start()
    try:
        taken = [backup(workspace, tmp_path / f"{n}.backup").position for n in range(2)]
    finally:
        done.set()
        writer.join()
    restored = elsewhere(monkeypatch, tmp_path / "other")
    restore(tmp_path / "1.backup")
    sequences = EventLog(restored.event_log).read()["log_sequence"].to_list()
    assert sequences == list(range(1, len(sequences) + 1))
    assert 10 <= taken[0] <= len(sequences) <= EventLog(workspace.event_log).position()


def test_an_existing_workspace_gives_way_only_when_told(workspace, file):
    append_event(workspace, {"user_id": "ann", "item_id": "later"})
    with pytest.raises(ConfigError, match="--replace"):
        restore(file)
    assert EventLog(workspace.event_log).count() == 11
    assert restore(file, replace=True).replaced
    assert EventLog(workspace.event_log).count() == 10
    assert sorted(path.name for path in workspace.home.iterdir()) == ["shop"]


def test_a_workspace_in_use_does_not_give_way(workspace, file):
    lease = FoldLease(workspace.event_log)
    token = lease.acquire("serving")
    with pytest.raises(ConfigError, match=r"in use \(process \d+.*serving\)"):
        restore(file, replace=True)
    lease.release(token)
    restore(file, replace=True)


def test_who_was_deleted_after_the_backup_stays_deleted(workspace, file, files_with):
    position = delete_users(workspace, [GONE, "silent"]).position
    result = restore(file, replace=True)
    assert result.deleted_again == 2
    assert result.position == position + 2, "what was read of them before the restore is known to be outdated"
    assert files_with(workspace.root, GONE) == []
    assert Catalogue.load(workspace).users["user_id"].to_list() == ["ann"]
    assert EventLog(workspace.event_log).read()["user_id"].unique().to_list() == ["ann"]


def show(workspace, *users):
    ImpressionLog.of(workspace).append(
        [Impression(request_id="r", shown_at=1, user_id=one, model_version="1", item_ids=("x",)) for one in users]
    )


def test_impressions_are_restored_but_not_of_who_was_deleted_since(workspace, tmp_path, files_with):
    """Of somebody who never did anything the impressions are all that came with the backup."""
    show(workspace, "ann", "only-looked")
    backup(workspace, tmp_path / "with-impressions.backup")
    delete_users(workspace, ["only-looked"])
    show(workspace, "later")
    assert restore(tmp_path / "with-impressions.backup", replace=True).deleted_again == 1
    assert ImpressionLog.of(workspace).read()["user_id"].to_list() == ["ann"]
    assert files_with(workspace.root, "only-looked") == []


def test_who_is_deleted_while_the_backup_is_unpacked_stays_deleted(workspace, file, files_with, monkeypatch):
    unpacked = restoring.extract_archive

    def meanwhile(*arguments):
        lease = FoldLease(workspace.event_log)
        assert lease.acquire("maintenance") is None, "no job starts while a workspace is being restored"
        Removals(workspace.event_log).remove_users([GONE])  # as by a job that lost its lease
        return unpacked(*arguments)

    monkeypatch.setattr(restoring, "extract_archive", meanwhile)
    assert restore(file, replace=True).deleted_again == 1
    assert files_with(workspace.home, GONE) == []


def test_nobody_deletes_or_appends_between_the_last_look_and_the_swap(workspace, file, monkeypatch):
    moved, waited, threads = restoring.take_place, [], []

    def meanwhile(*arguments):
        threads.append(threading.Thread(target=append_event, args=(workspace, {"user_id": "ann", "item_id": "new"})))
        threads[0].start()
        threads[0].join(0.3)
        waited.append(threads[0].is_alive())
        return moved(*arguments)

    monkeypatch.setattr(restoring, "take_place", meanwhile)
    restore(file, replace=True)
    threads[0].join()
    assert waited == [True]
    assert EventLog(workspace.event_log).read()["item_id"].to_list()[-1] == "new", "acknowledged, so it is there"


def test_a_restore_that_lost_its_lease_leaves_everything_as_it_was(workspace, file, monkeypatch):
    unpacked = restoring.extract_archive

    def taken(*arguments):
        with closing(sqlite3.connect(workspace.event_log)) as log, log:
            log.execute("UPDATE lease SET token = token + 1")
        return unpacked(*arguments)

    monkeypatch.setattr(restoring, "extract_archive", taken)
    append_event(workspace, {"user_id": "ann", "item_id": "later"})
    with pytest.raises(LeaseError):
        restore(file, replace=True)
    assert EventLog(workspace.event_log).count() == 11
    assert sorted(path.name for path in workspace.home.iterdir()) == ["shop"]


def test_a_backup_that_lost_its_lease_is_none(workspace, tmp_path, monkeypatch):
    verified = archive.verify_archive

    def taken(path):
        with closing(sqlite3.connect(workspace.event_log)) as log, log:
            log.execute("UPDATE lease SET token = token + 1")
        return verified(path)

    monkeypatch.setattr(archive, "verify_archive", taken)
    with pytest.raises(LeaseError, match="taken over"):
        backup(workspace, tmp_path / "late.backup")
    assert not [path for path in tmp_path.iterdir() if "backup" in path.name]


def test_neither_a_token_nor_a_position_is_given_again_after_a_restore(workspace, file):
    lease, log = FoldLease(workspace.event_log), EventLog(workspace.event_log)
    for _ in range(3):
        token = lease.acquire("maintenance")
        lease.release(token)
    position = append_event(workspace, {"user_id": "ann", "item_id": "later"}).position
    restore(file, replace=True)
    assert lease.acquire("maintenance") > token
    assert log.count() == 10
    assert append_event(workspace, {"user_id": "ann", "item_id": "new"}).position == position + 1


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 0.999])
def test_a_truncated_backup_is_refused_and_nothing_is_touched(workspace, file, tmp_path, share):
    content = file.read_bytes()
    cut = tmp_path / "cut.backup"
    cut.write_bytes(content[: int(len(content) * share)])
    before = held(workspace)
    with pytest.raises(DataError, match="no whole backup"):
        restore(cut, replace=True)
    assert all(now.equals(then) for now, then in zip(held(workspace), before, strict=True))


def changed(file: Path, target: Path, name: str, content: bytes | None, more: str | None = None) -> Path:
    """The archive with one file's content replaced (None: left out), or one more."""
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(target, "w") as new:
        for info in old.infolist():
            if info.filename != name:
                new.writestr(info.filename, old.read(info.filename))
            elif content is not None:
                new.writestr(info.filename, content)
        if more is not None:
            new.writestr(more, b"x")
    return target


@pytest.mark.parametrize(
    ("name", "content", "more", "says"),
    [
        ("workspace/events/log.sqlite", b"another log", None, "log.sqlite is not what was backed up"),
        ("workspace/workspace.toml", None, None, "other files than were backed up"),
        ("", None, "workspace/extra.txt", "other files than were backed up"),
        ("manifest.json", b'{"format": 99}', None, "another version of recsys"),
        ("manifest.json", b"{", None, "no whole backup"),
        (
            "manifest.json",
            b'{"format": 1, "about": {}, "files": {"../evil": "0"}}',
            None,
            "other files than were backed up",
        ),
    ],
)
def test_a_tampered_backup_is_refused(workspace, file, tmp_path, name, content, more, says):
    with pytest.raises(DataError, match=says):
        restore(changed(file, tmp_path / "changed.backup", name, content, more), replace=True)
    assert EventLog(workspace.event_log).count() == 10


def test_a_flipped_bit_is_noticed(workspace, file, tmp_path):
    content = bytearray(file.read_bytes())
    content[len(content) // 3] ^= 1
    flipped = tmp_path / "flipped.backup"
    flipped.write_bytes(content)
    with pytest.raises(DataError):
        restore(flipped, replace=True)


def test_an_archive_cannot_write_outside_its_folder(tmp_path):
    from recsys.jobs.archive import extract_archive

    file, folder = tmp_path / "evil", tmp_path / "folder"
    folder.mkdir()
    manifest = {"format": 1, "about": {}, "files": {"../evil.txt": "0"}}
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("../evil.txt", b"x")
        archive.writestr("manifest.json", orjson.dumps(manifest))
    with pytest.raises(DataError, match="outside the workspace"):
        extract_archive(file, folder)
    assert not (tmp_path / "evil.txt").exists()


def test_a_backup_replaces_no_file_and_leaves_no_trace_when_it_fails(workspace, file, tmp_path):
    with pytest.raises(ConfigError, match="exists already"):
        backup(workspace, file)
    with pytest.raises(ConfigError, match="no folder"):
        backup(workspace, tmp_path / "nowhere" / "x")
    assert not list(tmp_path.glob(".unfinished*"))


def test_the_commands_say_what_they_did_and_what_is_wrong(workspace, tmp_path):
    run = CliRunner()
    target = str(tmp_path / "by-command.backup")
    done = run.invoke(build_app(), ["backup", target, "-w", "shop", "--json"])
    assert orjson.loads(done.stdout.splitlines()[-1])["position"] == 10
    refused = run.invoke(build_app(), ["restore", target])
    assert (refused.exit_code, "--replace" in refused.output) == (2, True)
    other = run.invoke(build_app(), ["restore", target, "--replace", "-w", "another"])
    assert (other.exit_code, "not of 'another'" in other.output) == (2, True)
    missing = run.invoke(build_app(), ["restore", str(tmp_path / "none"), "--json"])
    assert missing.exit_code == 2
    assert "no file" in orjson.loads(missing.stdout.splitlines()[-1])["message"]


@pytest.mark.slow
def test_feature_rows_come_back_and_are_made_anew_in_another_home(workspace, tmp_path, monkeypatch):
    from recsys.context.reader import FeastReader
    from recsys.context.user_memory import UserMemory
    from recsys.data.schema import WorkspaceSchema

    schema = WorkspaceSchema.load(workspace.schema_file)
    materialise(workspace)
    expected = FeastReader(workspace, schema).online(["ann", "silent", "nobody"])
    file = tmp_path / "whole.backup"
    backup(workspace, file)
    running = FeastReader(workspace, schema, memory=UserMemory(10**6))
    append_event(workspace, {"user_id": "ann", "item_id": "later"})
    assert "later" in running.online(["ann"])[0].history_items
    materialise(workspace)
    restore(file, replace=True)
    assert running.online(["ann"]) == expected[:1]
    assert FeastReader(workspace, schema).online(["ann", "silent", "nobody"]) == expected
    other = elsewhere(monkeypatch, tmp_path / "other")
    restore(file)
    shutil.rmtree(workspace.root)
    assert FeastReader(other, schema).online(["ann", "silent", "nobody"]) == expected
