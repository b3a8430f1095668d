"""The versions of a workspace's model as people ask for them: what each is, where it came from, who uses it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from recsys.errors import ConfigError, RegistryError
from recsys.registry.champion import no_model
from recsys.registry.client import exists, registry
from recsys.registry.leases import versions_in_use
from recsys.registry.versions import CHALLENGER, CHAMPION, LIVE_CHALLENGER, aliased, read_version, version_numbers
from recsys.workspace import Workspace


@dataclass(frozen=True, slots=True)
class ListedVersion:
    """One version.

    Attributes:
        version: its number.
        aliases: champion, challenger, both or none.
        used_by: services and batches that use it now.
        run_id: the training run; empty where recsys did not register the version.
        content_hash: SHA-256 over its model files.
        metrics: what its training measured.
        lineage: log position, data fingerprint, feature service, code commit and more.
    """

    version: str
    aliases: tuple[str, ...]
    used_by: tuple[str, ...]
    run_id: str
    content_hash: str
    metrics: Mapping[str, float]
    lineage: Mapping[str, str]

    def as_dict(self) -> dict[str, object]:
        """Plain values, for --json."""
        return asdict(self)


def listed_versions(workspace: Workspace) -> list[ListedVersion]:
    """All versions, oldest first.

    Raises:
        ConfigError: nothing was trained here.
        RegistryError: the registry cannot be read.
    """
    if not exists(workspace):
        raise no_model(workspace)
    used = versions_in_use(workspace)
    with registry(workspace) as client:
        numbers = version_numbers(client, workspace)
        if not numbers:
            raise no_model(workspace)
        aliases = {alias: aliased(client, workspace, alias) for alias in (CHAMPION, CHALLENGER, LIVE_CHALLENGER)}
        found = []
        for version in map(str, numbers):
            own = tuple(alias for alias, number in aliases.items() if number == version)
            holders = tuple(used.get(version, ()))
            try:
                known = read_version(client, workspace, version)
            except RegistryError:
                found.append(ListedVersion(version, own, holders, "", "", {}, {}))
                continue
            found.append(
                ListedVersion(version, own, holders, known.run_id, known.content_hash, known.metrics, known.labels)
            )
    return found


def listed_version(workspace: Workspace, version: str) -> ListedVersion:
    """One of them.

    Raises:
        ConfigError: there is no such version.
    """
    found = {listed.version: listed for listed in listed_versions(workspace)}
    if version not in found:
        raise ConfigError(f"{workspace.registered_model} has no version {version}. It has: {', '.join(found)}.")
    return found[version]
