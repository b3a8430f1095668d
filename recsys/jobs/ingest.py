"""The job that brings a data set into a workspace: schema, catalogue, event log. It touches no other workspace."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import polars as pl

from recsys.columns import USER_ID
from recsys.data.border import check_imported
from recsys.data.catalogue import Catalogue
from recsys.data.catalogue_differences import changed_items, changed_users
from recsys.data.imported import ImportedData, Treatment
from recsys.data.importer import read_folder
from recsys.data.schema import WorkspaceSchema
from recsys.errors import DataError
from recsys.events.catalogue_changes import CatalogueChanges
from recsys.events.log import EventLog
from recsys.events.removals import Removals
from recsys.events.tombstones import happened_before
from recsys.failpoints import Failpoint, reached
from recsys.workspace import Workspace


@dataclass(frozen=True, slots=True)
class IngestResult:
    """What an import did.

    Attributes:
        workspace: name of the workspace.
        source: where the data came from.
        read: events handed over.
        appended: events that were new to the log.
        already_there: events the log had already.
        withheld: events that happened before their user was deleted; they were left out.
        conflicts: how many of the events that were there say something else under the same id; the first stays.
        position: the log's position afterwards.
        users: users in the catalogue.
        items: items in the catalogue.
        seconds: how long it took.
        schema: the workspace's schema.
        treatments: what was done with rows that were not plain.
        notes: what was inferred.
    """

    workspace: str
    source: str
    read: int
    appended: int
    already_there: int
    withheld: int
    conflicts: int
    position: int
    users: int
    items: int
    seconds: float
    schema: WorkspaceSchema
    treatments: tuple[Treatment, ...]
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, object]:
        """Plain values, for --json."""
        return asdict(self)


def ingest(workspace: Workspace, imported: ImportedData) -> IngestResult:
    """Writes the catalogue, then the schema that makes the workspace exist, then appends the events in one transaction.

    Repeating it with the same data changes nothing; an import that was interrupted is completed by repeating it. Where
    it changes profiles, or categories of items that somebody used, the log notes it: rows folded before are outdated.

    Raises:
        DataError: the data are not canonical, or the workspace exists with another schema; nothing was written.
    """
    started = time.monotonic()
    check_imported(imported)
    schema = replace(imported.schema, name=workspace.name)
    known = workspace_schema(workspace)
    log = EventLog(workspace.event_log)
    if known is None:
        catalogue = Catalogue.empty(schema).updated(imported.users, imported.items, imported.events)
        catalogue.save(workspace)
        reached(Failpoint.IMPORT_CATALOGUE_SAVED)
        schema.save(workspace.schema_file)
        reached(Failpoint.IMPORT_SCHEMA_SAVED)
    else:
        _refuse_other_schema(workspace, known, schema)
        with CatalogueChanges(workspace.event_log).making() as concerned:
            users, events = _of_nobody_deleted(workspace, imported)
            before = Catalogue.load(workspace)
            catalogue = before.updated(users, imported.items, events)
            catalogue.save(workspace)
            concerned.user_ids = changed_users(before, catalogue)
            concerned.everybody = not set(changed_items(before, catalogue)).isdisjoint(log.items())
    appended = log.append(imported.events)
    return IngestResult(
        workspace=workspace.name,
        source=imported.source,
        read=imported.events.height,
        appended=appended.accepted,
        already_there=appended.duplicates,
        withheld=appended.withheld,
        conflicts=appended.conflicts,
        position=appended.last_sequence,
        users=catalogue.users.height,
        items=catalogue.items.height,
        seconds=round(time.monotonic() - started, 3),
        schema=schema,
        treatments=imported.treatments,
        notes=imported.notes,
    )


def ingest_folder(workspace: Workspace, folder: Path, overrides: Path | None = None) -> IngestResult:
    """Reads a folder of the user's own (see `recsys.data.importer`) and ingests it.

    Raises:
        DataError: the folder cannot be used, or does not fit the workspace; nothing was written.
        ConfigError: the overrides file is wrong.
    """
    return ingest(workspace, read_folder(folder, overrides, existing=workspace_schema(workspace)))


def workspace_schema(workspace: Workspace) -> WorkspaceSchema | None:
    """The schema of the workspace, None when it does not exist yet."""
    return WorkspaceSchema.load(workspace.schema_file) if workspace.schema_file.is_file() else None


def _of_nobody_deleted(workspace: Workspace, imported: ImportedData) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Users and events without what deleted users left in old files; who came back since is taken as new."""
    ids = pl.concat([imported.users.select(USER_ID), imported.events.select(USER_ID)]).unique()[USER_ID].to_list()
    deleted = Removals(workspace.event_log).deleted(ids)
    if not deleted:
        return imported.users, imported.events
    events = imported.events.filter(~happened_before(deleted))
    known = EventLog(workspace.event_log).read(list(deleted))
    back = {*events[USER_ID], *known[USER_ID]}
    return imported.users.filter(~pl.col(USER_ID).is_in([user for user in deleted if user not in back])), events


def _refuse_other_schema(workspace: Workspace, known: WorkspaceSchema, schema: WorkspaceSchema) -> None:
    differences = [
        f"{field.name} is {_shown(getattr(known, field.name))} there and {_shown(getattr(schema, field.name))} here"
        for field in fields(known)
        if getattr(known, field.name) != getattr(schema, field.name)
    ]
    if differences:
        raise DataError(
            f"The workspace '{workspace.name}' has another schema than these data: {'; '.join(differences)}. "
            "Nothing was changed. Import into a new workspace (--workspace NAME), or make the files and --schema "
            f"agree with {workspace.schema_file}."
        )


def _shown(value: object) -> str:
    return str(dict(value)) if isinstance(value, dict) else repr(value)
