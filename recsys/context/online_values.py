"""What online stores and their callers say in Feast's terms: rows, moments, keys, and the store behind Feast."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import cast

from feast import FeatureStore
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value

from recsys.context.live_store import LiveStore

OnlineRow = tuple[EntityKey, dict[str, Value], datetime, datetime | None]
Found = tuple[datetime | None, dict[str, Value] | None]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def entity_key(name: str, value: str) -> EntityKey:
    """The key of one entity by its only join key."""
    return EntityKey(join_keys=[name], entity_values=[Value(string_val=value)])


def live_store(store: FeatureStore) -> LiveStore:
    """The online store behind Feast, for what Feast has no call for."""
    return cast(LiveStore, store._get_provider().online_store)


def moment_of(microseconds: int) -> datetime:
    """The moment so many microseconds after the epoch, UTC."""
    return _EPOCH + microseconds * _MICROSECOND


def microseconds_of(moment: datetime) -> int:
    """The inverse; a moment without a zone is UTC."""
    return (aware(moment) - _EPOCH) // _MICROSECOND


def aware(moment: datetime) -> datetime:
    """The moment with its zone; one without is UTC."""
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
