"""Which version of the features a snapshot reads, and its refusal where another one is given to it."""

from __future__ import annotations

from recsys.context.feature_schema import FeatureSchema
from recsys.context.rows import feature_schema
from recsys.data.schema import WorkspaceSchema
from recsys.errors import ConfigError, SnapshotError
from recsys.registry.snapshot import Snapshot

FEATURES_SECTION = "features"
_SERVICE, _SHA256, _SCHEMA = "service", "sha256", "schema"


def features_section(schema: WorkspaceSchema) -> dict[str, object]:
    """What a snapshot's configuration says of the features that its model reads."""
    version = feature_schema(schema)
    return {_SERVICE: version.service, _SHA256: version.sha256, _SCHEMA: version.to_dict()}


def features_of(snapshot: Snapshot) -> FeatureSchema:
    """The version of the features that a snapshot's model reads.

    A snapshot of before versions were written down reads columns that rows have had unchanged since: the version is
    what this library makes of its schema.

    Raises:
        SnapshotError: the description does not hash to what the snapshot names.
    """
    section = snapshot.config.get(FEATURES_SECTION)
    if section is None:
        return feature_schema(snapshot.schema)
    try:
        assert isinstance(section, dict)
        version = FeatureSchema.from_dict(section[_SCHEMA])
        named = section[_SERVICE], section[_SHA256]
    except (AssertionError, KeyError, ConfigError) as error:
        raise SnapshotError(
            f"The snapshot {snapshot.folder} does not say which features it reads: {error!r}."
        ) from error
    if named != (version.service, version.sha256):
        raise SnapshotError(
            f"The snapshot {snapshot.folder} names the feature service {named[0]} and describes {version.service}."
        )
    return version


def refuse_other_features(snapshot: Snapshot, given: FeatureSchema, whose: str, remedy: str) -> None:
    """Refuses a snapshot whose model reads another version of the features than it is given.

    Args:
        snapshot: the model.
        given: what it would be given.
        whose: whose version that is, for the message.
        remedy: what to do, a sentence.

    Raises:
        SnapshotError: with the difference between the two.
    """
    wanted = features_of(snapshot)
    changes = wanted.changes_to(given)
    if changes:
        raise SnapshotError(
            f"The snapshot {snapshot.folder} reads the feature service {wanted.service}, {whose} {given.service}: "
            f"{'; '.join(changes)}. {remedy}"
        )
