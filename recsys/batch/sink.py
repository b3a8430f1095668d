"""Where a batch's partitions go: each file whole or not at all under its name, `_SUCCESS` once all are there.

It knows frames and files, not how recommendations come about.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import orjson
import polars as pl

from recsys.batch.formats import FORMATS, OUTPUT_SCHEMA, FormatName, partition_files, rows_in
from recsys.batch.plan import Partition
from recsys.batch.room import in_room_of
from recsys.durable import TEMPORARY_PREFIX, replace_file, sync
from recsys.errors import ConfigError
from recsys.registry.locks import exclusive

SUCCESS = "_SUCCESS"
_LOCK = ".batch.lock"
_KEY, _ROWS = "recsys.partition_key", "recsys.rows"
_UNKNOWN, _FUTURE = "recsys.unknown_users", "recsys.future_users"


@dataclass(frozen=True, slots=True)
class Written:
    """A finished partition.

    Attributes:
        file: its name in the folder.
        users: users asked for.
        rows: recommendations in it.
        unknown_users: users of whom nothing is known.
        future_users: users with events that lie in the future.
        key: what its content depends on.
    """

    file: str
    users: int
    rows: int
    unknown_users: int
    future_users: int
    key: str


class PartitionSink:
    """One folder of partitions.

    Args:
        folder: where.
        form: the format of what is written; what lies there may be of another one.
    """

    def __init__(self, folder: Path, form: FormatName = "parquet") -> None:
        self.folder = folder
        self._format = FORMATS[form]

    @contextmanager
    def alone(self) -> Iterator[None]:
        """While the block runs no other run writes into the folder; however it ends it leaves nothing half-written.

        Raises:
            ConfigError: as `prepare`.
            RegistryError: another run is at it.
            NoRoomError: the disk is full.
        """
        self._refuse_foreign_files()
        self._make_folder()
        with ExitStack() as held:
            with in_room_of(self.folder):
                held.enter_context(exclusive(self.folder / _LOCK, f"batch into {self.folder}"))
            held.callback(self._remove_leftovers)
            yield

    def prepare(self, partitions: Iterable[Partition]) -> dict[int, Written]:
        """Makes the folder ready for these partitions: keeps those that are there, removes what another run left.

        Returns:
            The finished partitions by number. `_SUCCESS` stays only when all of them are there.

        Raises:
            ConfigError: the folder holds files that no batch of ours wrote, or cannot be made or written to.
        """
        self._refuse_foreign_files()
        self._make_folder()
        finished: dict[int, Written] = {}
        missing = 0
        for partition in partitions:
            written = self._finished(partition)
            if written is None:
                missing += 1
            else:
                finished[partition.number] = written
        kept = {written.file for written in finished.values()}
        stale = [(path, form) for path, form in partition_files(self.folder) if path.name not in kept]
        if stale or missing:
            (self.folder / SUCCESS).unlink(missing_ok=True)
            sync(self.folder)
        for path, form in stale:
            form.remove(path)
        self._remove_leftovers()
        return finished

    def write(self, partition: Partition, frame: pl.DataFrame, unknown_users: int, future_users: int = 0) -> Written:
        """Writes one partition: on disk under its name when this returns, or no trace of it.

        Args:
            partition: which one.
            frame: columns and types of OUTPUT_SCHEMA.
            unknown_users: for the record.
            future_users: likewise.

        Raises:
            NoRoomError: the disk is full.
        """
        record = {
            _KEY: partition.key,
            _ROWS: str(frame.height),
            _UNKNOWN: str(unknown_users),
            _FUTURE: str(future_users),
        }
        with in_room_of(self.folder):
            rows = frame.select(OUTPUT_SCHEMA.names()).cast(OUTPUT_SCHEMA)
            self._format.write(rows, self.folder / partition.file, record)
        return Written(
            partition.file, len(partition.user_ids), frame.height, unknown_users, future_users, partition.key
        )

    def succeed(self, written: Sequence[Written], about: Mapping[str, object]) -> Path:
        """Writes `_SUCCESS`: what the run was about, its counts and its files.

        Rows are counted in the files: users who were deleted while the batch ran have none.

        Returns:
            The manifest's path.

        Raises:
            ConfigError: the folder does not hold these partitions and no others.
            NoRoomError: the disk is full.
        """
        self._refuse_what_others_wrote(written)
        written = [replace(part, rows=rows_in(self.folder / part.file)) for part in written]
        manifest = {
            **about,
            "users": sum(part.users for part in written),
            "rows": sum(part.rows for part in written),
            "unknown_users": sum(part.unknown_users for part in written),
            "future_users": sum(part.future_users for part in written),
            "partitions": written,
        }
        path = self.folder / SUCCESS
        content = orjson.dumps(manifest, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
        if not path.exists() or path.read_bytes() != content:
            with in_room_of(self.folder):
                replace_file(path, content)
        return path

    def _remove_leftovers(self) -> None:
        for path in self.folder.glob(f"{TEMPORARY_PREFIX}*"):
            path.unlink(missing_ok=True)

    def _make_folder(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"{self.folder} cannot be made ({error.strerror}). Give --out a folder that may be written to."
            ) from error
        if not os.access(self.folder, os.W_OK | os.X_OK):
            raise ConfigError(f"{self.folder} may not be written to. Give --out another folder.")

    def _finished(self, partition: Partition) -> Written | None:
        """The partition as it is on disk, None when it is missing, cut off or of another plan."""
        record = self._format.record(self.folder / partition.file)
        if record is None or record.get(_KEY) != partition.key:
            return None
        rows, unknown, future = (int(record[name]) for name in (_ROWS, _UNKNOWN, _FUTURE))
        return Written(partition.file, len(partition.user_ids), rows, unknown, future, partition.key)

    def _refuse_what_others_wrote(self, written: Sequence[Written]) -> None:
        """A lock is this machine's; what another one wrote meanwhile is found here."""
        keys = {path.name: (form.record(path) or {}).get(_KEY) for path, form in partition_files(self.folder)}
        if keys != {part.file: part.key for part in written}:
            (self.folder / SUCCESS).unlink(missing_ok=True)
            raise ConfigError(
                f"Something else wrote or removed partitions in {self.folder} while this batch ran, so there is no "
                f"{SUCCESS}. Give each batch a folder of its own (--out), and run the command again."
            )

    def _refuse_foreign_files(self) -> None:
        if self.folder.exists() and not self.folder.is_dir():
            raise ConfigError(f"{self.folder} is a file; give --out a folder, a new one best.")
        ours = {path.name for path, _ in partition_files(self.folder)}
        there = [path.name for form in FORMATS.values() for path in self.folder.glob(f"*{form.suffix}")]
        foreign = sorted(name for name in there if name not in ours)
        if foreign:
            raise ConfigError(
                f"{self.folder} holds files that no batch wrote ({', '.join(foreign[:3])}); whoever reads the folder "
                "would mix them with recommendations. Give --out another folder."
            )
