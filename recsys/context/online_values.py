"""Online rows straight from Feast's online store, as plain values.

`FeatureStore.get_online_features` reads the same store and then copies each value into one message and out of it
again, which takes most of its time for many users. Importing Feast takes seconds: import this module late.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from recsys import columns

with warnings.catch_warnings():  # importing Feast turns on every deprecation warning of the process
    from feast import FeatureService, FeatureStore, FeatureView
    from feast.protos.feast.types.EntityKey_pb2 import EntityKey
    from feast.protos.feast.types.Value_pb2 import Value


def views_of(store: FeatureStore, service: FeatureService) -> tuple[FeatureView, ...]:
    """The views of a service, to be kept: each one takes a look into the registry."""
    return tuple(store.get_feature_view(projection.name) for projection in service.feature_view_projections)


def read_values(store: FeatureStore, views: Sequence[FeatureView], user_ids: Sequence[str]) -> dict[str, list[object]]:
    """The stored rows of users, as they are.

    Args:
        store: an open store.
        views: what `views_of` returns; their features have different names.
        user_ids: whose rows.

    Returns:
        user_id and every feature: one value a user, in that order; None where nothing is stored.
    """
    keys = [EntityKey(join_keys=[columns.USER_ID], entity_values=[Value(string_val=user_id)]) for user_id in user_ids]
    found: dict[str, list[object]] = {columns.USER_ID: list(user_ids)}
    provider = store._get_provider()
    for view in views:
        names = [field.name for field in view.features]
        found |= {name: [None] * len(keys) for name in names}
        for place, (_, values) in enumerate(provider.online_read(store.config, view, keys, names)):
            for name, value in (values or {}).items():
                if name in found:
                    found[name][place] = plain_value(value)
    return found


def plain_value(value: Value) -> object:
    """A stored value as None, a number, a text, a boolean, or a list of such."""
    kind = value.WhichOneof("val")
    if kind is None or kind == "null_val":
        return None
    inner = getattr(value, kind)
    return list(inner.val) if kind.endswith("_list_val") else inner
