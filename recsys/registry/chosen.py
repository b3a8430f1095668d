"""Which registered version a job works on: the one asked for, else the champion, else the latest."""

from __future__ import annotations

from dataclasses import dataclass

from recsys.errors import ConfigError
from recsys.registry.champion import no_model
from recsys.registry.client import exists, registry
from recsys.registry.snapshot import Snapshot
from recsys.registry.versions import CHAMPION, aliased, loaded_snapshot, read_version, version_numbers
from recsys.workspace import Workspace


@dataclass(frozen=True, slots=True)
class ChosenVersion:
    """A registered version with its verified snapshot.

    Attributes:
        version: its number.
        snapshot: read into memory.
    """

    version: str
    snapshot: Snapshot


def chosen_version(workspace: Workspace, version: str | None) -> ChosenVersion:
    """The version of that number; None is the champion, or the latest where there is no champion yet.

    Raises:
        ConfigError: nothing is registered, or no such version.
        SnapshotError: its snapshot is damaged.
    """
    if not exists(workspace):
        raise no_model(workspace)
    with registry(workspace) as client:
        numbers = version_numbers(client, workspace)
        if not numbers:
            raise no_model(workspace)
        if version is not None and version not in map(str, numbers):
            raise ConfigError(
                f"There is no version '{version}' of {workspace.registered_model}; there are: "
                f"{', '.join(map(str, numbers))}."
            )
        wanted = version or aliased(client, workspace, CHAMPION) or str(numbers[-1])
        registered = read_version(client, workspace, wanted)
    return ChosenVersion(wanted, loaded_snapshot(workspace, registered))
