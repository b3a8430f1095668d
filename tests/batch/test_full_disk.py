"""A disk that is full, a real one where the test may mount it: no half file under a final name, one clear sentence."""

import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from recsys.batch.formats import FORMATS
from recsys.batch.room import NoRoomError
from recsys.batch.sink import SUCCESS, PartitionSink

DRIVER = Path(__file__).with_name("filling.py")
ROOT = Path(__file__).parents[2]
MEGA = 1_000_000


@pytest.fixture
def small_disk(tmp_path):
    """A file system of one megabyte."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = (
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], capture_output=True, check=False)
        if os.geteuid() == 0
        else None
    )
    if mounted is None or mounted.returncode:
        pytest.skip("this process may not mount a file system")
    yield place
    subprocess.run(["umount", place], check=True)


def filled(out, form, limit=0):
    """What a process tells that writes partitions into the folder until it is stopped."""
    run = subprocess.run(
        [sys.executable, str(DRIVER), str(out), form, str(limit)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def assert_whole(out, form):
    """Whatever has a final name is a whole partition; of what did not fit there is no trace."""
    parts = sorted(out.glob(f"part-*{FORMATS[form].suffix}"))
    for part in parts:
        assert FORMATS[form].record(part) is not None
        assert FORMATS[form].scan(part).select(pl.col("user_id").n_unique()).collect().item() == 2_000
    hidden = {f".{part.name}.json" for part in parts} if form != "parquet" else set()
    assert {path.name for path in out.iterdir()} - {part.name for part in parts} == hidden
    assert not (out / SUCCESS).exists()
    return len(parts)


@pytest.mark.parametrize("form", list(FORMATS))
def test_a_full_disk_keeps_whole_partitions_and_says_one_sentence(small_disk, form):
    told = filled(small_disk / "out", form)
    assert told == (
        f"NoRoomError: there is no room in {small_disk / 'out'} (no space left); make some, or give --out a folder on "
        "another disk"
    )
    assert assert_whole(small_disk / "out", form) >= 1


@pytest.mark.parametrize("form", list(FORMATS))
def test_a_file_that_may_not_grow_leaves_no_trace(tmp_path, form):
    told = filled(tmp_path / "out", form, limit=10_000)
    assert "file size limit reached" in told
    assert assert_whole(tmp_path / "out", form) == 0


def fill_up(path):
    with path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4_096))


def test_a_disk_that_is_full_before_the_first_file_is_told_likewise(small_disk):
    (small_disk / "out").mkdir()
    with pytest.raises(OSError, match="No space left"):
        fill_up(small_disk / "rest")
    with pytest.raises(NoRoomError, match="no space left"), PartitionSink(small_disk / "out").alone():
        pass
