"""One file that holds many, with the SHA-256 of each: written whole or not at all, read back only if it is as written.

It knows names and bytes, nothing of workspaces.
"""

from __future__ import annotations

import hashlib
import os
import uuid
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

import orjson

from recsys.durable import TEMPORARY_PREFIX, sync
from recsys.errors import DataError
from recsys.events.lease import Guard
from recsys.failpoints import Failpoint, reached

FORMAT = 1
_MANIFEST = "manifest.json"
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Archived:
    """What an archive says of itself.

    Attributes:
        about: what its writer noted.
        files: SHA-256 of every file by its name, in order.
    """

    about: Mapping[str, object]
    files: Mapping[str, str]


def write_archive(
    target: Path, files: Iterable[tuple[str, Path]], about: Mapping[str, object], guard: Guard = nullcontext
) -> Archived:
    """Writes an archive and reads it back before it gets its name.

    Args:
        target: where; there must be nothing yet.
        files: (name inside, file) each; a file that vanished meanwhile is left out.
        about: plain values to note.
        guard: entered for the moment in which the archive gets its name; what it raises leaves none.

    Raises:
        DataError: what was written cannot be read back as it was meant.
    """
    unfinished = target.with_name(f"{TEMPORARY_PREFIX}{target.name}-{uuid.uuid4().hex[:12]}")
    digests: dict[str, str] = {}
    try:
        with zipfile.ZipFile(unfinished, "x", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for name, path in files:
                try:
                    source = path.open("rb")
                except FileNotFoundError:
                    continue
                with source, archive.open(name, "w", force_zip64=True) as inside:
                    digests[name] = _copied(source, inside)
            manifest = {"format": FORMAT, "about": dict(about), "files": digests}
            archive.writestr(_MANIFEST, orjson.dumps(manifest, option=orjson.OPT_INDENT_2))
        sync(unfinished)
        written = verify_archive(unfinished)
        reached(Failpoint.BACKUP_WRITTEN)
        with guard():
            os.link(unfinished, target)  # unlike a rename it never replaces a file
    finally:
        unfinished.unlink(missing_ok=True)
    sync(target.parent)
    return written


def verify_archive(path: Path) -> Archived:
    """Reads every byte and compares.

    Raises:
        DataError: the archive is missing, cut off, changed, or of another kind.
    """
    return _read(path, None)


def extract_archive(path: Path, folder: Path) -> Archived:
    """Verifies the archive while it writes its files into a folder, each durable; same errors as `verify_archive`.

    Args:
        path: the archive.
        folder: an empty one; what is in it after an error is of no use.
    """
    return _read(path, folder)


def _read(path: Path, folder: Path | None) -> Archived:
    try:
        with zipfile.ZipFile(path) as archive:
            found = _manifest(path, archive)
            for name, digest in found.files.items():
                if _extracted(archive, name, folder) != digest:
                    raise DataError(f"{path} was changed: its file {name} is not what was backed up. Use another copy.")
    except FileNotFoundError:
        raise DataError(f"There is no file {path}.") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError, OSError, NotImplementedError) as error:
        raise DataError(
            f"{path} is no whole backup of recsys ({error}): it was cut off, damaged or changed."
        ) from error
    return found


def _manifest(path: Path, archive: zipfile.ZipFile) -> Archived:
    content = orjson.loads(archive.read(_MANIFEST))
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise DataError(f"{path} was written by another version of recsys; this one reads format {FORMAT}.")
    found = Archived(content["about"], content["files"])
    if sorted(archive.namelist()) != sorted([*found.files, _MANIFEST]):
        raise DataError(f"{path} was changed: it holds other files than were backed up. Use another copy.")
    outside = [name for name in found.files if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts]
    if outside:
        raise DataError(f"{path} was changed: {outside[0]} would lie outside the workspace. Use another copy.")
    return found


def _extracted(archive: zipfile.ZipFile, name: str, folder: Path | None) -> str:
    with archive.open(name) as inside:
        if folder is None:
            return _copied(inside, None)
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as file:
            digest = _copied(inside, file)
            file.flush()
            os.fsync(file.fileno())
    return digest


def _copied(source: IO[bytes], target: IO[bytes] | None) -> str:
    digest = hashlib.sha256()
    while chunk := source.read(_CHUNK):
        digest.update(chunk)
        if target is not None:
            target.write(chunk)
    return digest.hexdigest()
