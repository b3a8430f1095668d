"""Writes partitions into a folder until it is stopped, and says by what: run by test_full_disk.py."""

import resource
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl

from recsys.batch.formats import OUTPUT_SCHEMA
from recsys.batch.plan import Partition
from recsys.batch.sink import PartitionSink
from recsys.errors import RecsysError

USERS = tuple(f"user-{n}" for n in range(2_000))


def partition_frame(number: int) -> pl.DataFrame:
    """One item a user, of scores that no compression makes small."""
    rng = np.random.default_rng(number)
    return pl.DataFrame(
        {
            "user_id": USERS,
            "rank": 1,
            "item_id": [f"{value:x}" for value in rng.integers(0, 2**62, len(USERS))],
            "score": rng.random(len(USERS)),
            "model_version": "1",
            "as_of": datetime(2020, 1, 1, tzinfo=UTC),
        }
    ).cast(OUTPUT_SCHEMA)


def main() -> None:
    """Arguments: folder, format, and the largest size of a file in bytes (0: any)."""
    folder, form, limit = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    sink = PartitionSink(folder, form)
    sink.prepare([])
    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        for number in range(200):
            sink.write(Partition(number, USERS, "key", f".{form}"), partition_frame(number), 0)
    except (RecsysError, OSError, pl.exceptions.PolarsError) as error:
        sys.stdout.write(f"{type(error).__name__}: {error}\n")


if __name__ == "__main__":
    main()
