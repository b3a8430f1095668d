"""Named places between two durable steps, where a test can have the process die. Without the variable they do nothing.

Set $RECSYS_FAILPOINT to one of the names and the process is killed, as by a power cut, when it comes there. With
$RECSYS_FAILPOINT_FUSE, a folder, each arrival of any process takes a file out of it, and only the one that takes the
last dies: one process, once, so that whoever takes its place gets further.
"""

from __future__ import annotations

import os
import signal
from enum import StrEnum
from pathlib import Path

from recsys.errors import ConfigError

VARIABLE = "RECSYS_FAILPOINT"
FUSE_VARIABLE = "RECSYS_FAILPOINT_FUSE"


class Failpoint(StrEnum):
    """Every failpoint there is, in the order in which a job comes by."""

    IMPORT_CATALOGUE_SAVED = "import.catalogue-saved"
    IMPORT_SCHEMA_SAVED = "import.schema-saved"
    IMPORT_ANNOUNCED = "import-again.announced"
    IMPORT_CATALOGUE_CHANGED = "import-again.catalogue-changed"
    APPEND_WRITTEN = "append.written"
    APPEND_COMMITTED = "append.committed"
    LEASE_TAKEN = "lease.taken"
    FOLD_VIEW_WRITTEN = "fold.view-written"
    FOLD_ROWS_WRITTEN = "fold.rows-written"
    FOLD_NOTED = "fold.noted"
    MATERIALISE_APPLIED = "materialise.applied"
    MATERIALISE_FENCED = "materialise.fenced"
    MATERIALISE_PART_WRITTEN = "materialise.part-written"
    MATERIALISE_PART_ADDED = "materialise.part-added"
    MATERIALISE_PARTS_REPLACED = "materialise.parts-replaced"
    MATERIALISE_ROWS_WRITTEN = "materialise.rows-written"
    MATERIALISE_ITEM_PART_REPLACED = "materialise.item-part-replaced"
    MATERIALISE_ITEMS_WRITTEN = "materialise.items-written"
    MATERIALISE_OLDER_ROWS_GONE = "materialise.older-rows-gone"
    MATERIALISE_NOTED = "materialise.noted"
    MATERIALISE_SAVED = "materialise.saved"
    DROP_ONLINE_GONE = "drop.online-gone"
    DROP_OFFLINE_GONE = "drop.offline-gone"
    DROP_UNREGISTERED = "drop.unregistered"
    PRUNE_EVENTS_GONE = "prune.events-gone"
    PRUNE_ROWS_GONE = "prune.rows-gone"
    PRUNE_IMPRESSIONS_GONE = "prune.impressions-gone"
    DELETE_EVENTS_GONE = "delete.events-gone"
    DELETE_PROFILE_GONE = "delete.profile-gone"
    DELETE_ROWS_GONE = "delete.rows-gone"
    DELETE_ONLINE_REWRITTEN = "delete.online-rewritten"
    DELETE_ONLINE_CLEAN = "delete.online-clean"
    DELETE_OFFLINE_CLEAN = "delete.offline-clean"
    DELETE_PARTITIONS_CLEAN = "delete.partitions-clean"
    DELETE_LISTS_CLEAN = "delete.lists-clean"
    DELETE_IMPRESSIONS_GONE = "delete.impressions-gone"
    DELETE_NAMES_FORGOTTEN = "delete.names-forgotten"
    DELETE_IMPRESSIONS_CLEAN = "delete.impressions-clean"
    DELETE_LOG_REWRITTEN = "delete.log-rewritten"
    DELETE_LOG_CLEAN = "delete.log-clean"
    DELETE_SCRUBBED = "delete.scrubbed"
    BACKUP_COPIED = "backup.copied"
    BACKUP_WRITTEN = "backup.written"
    RESTORE_UNPACKED = "restore.unpacked"
    RESTORE_TAKEN_OVER = "restore.taken-over"
    RESTORE_GIVEN_WAY = "restore.given-way"
    RESTORE_IN_PLACE = "restore.in-place"
    RESTORE_FORMER_GONE = "restore.former-gone"
    TRAIN_BEGUN = "train.begun"
    TRAIN_STEP_DONE = "train.step-done"
    TRAIN_CHECKPOINT_PART_WRITTEN = "train.checkpoint-part-written"
    TRAIN_CHECKPOINT_WRITTEN = "train.checkpoint-written"
    TRAIN_CHECKPOINT_IN_PLACE = "train.checkpoint-in-place"
    TRAIN_BODY_FITTED = "train.body-fitted"
    TRAIN_REGISTERED = "train.registered"


def reached(point: Failpoint) -> None:
    """Dies here if this point is armed.

    Raises:
        ConfigError: what is armed is no failpoint.
    """
    armed = os.environ.get(VARIABLE)
    if armed is None:
        return
    if armed not in set(Failpoint):
        raise ConfigError(f"${VARIABLE} is '{armed}', which is no failpoint; there are: {', '.join(Failpoint)}.")
    if armed == point and _burnt_down():
        os.kill(os.getpid(), signal.SIGKILL)


def _burnt_down() -> bool:
    """Whether there is no fuse, or this process took its last file."""
    fuse = os.environ.get(FUSE_VARIABLE)
    if fuse is None:
        return True
    for path in Path(fuse).iterdir():
        try:
            path.unlink()
        except FileNotFoundError:  # another process was faster
            continue
        return not any(Path(fuse).iterdir())
    return False
