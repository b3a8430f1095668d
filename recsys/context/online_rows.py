"""Reads online rows straight from the store under Feast, as columns. It knows Feast's values and nothing of the log.

Feast's own `get_online_features` looks the views up in the registry and copies every value into a response and out of
it again: more than the reading itself (docs/decisions/0015-engines.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from feast import FeatureService, FeatureStore
from feast.protos.feast.types.Value_pb2 import Value

from recsys import columns
from recsys.context.online_values import entity_key, live_store

_LISTS = frozenset(field.name for field in Value.DESCRIPTOR.fields if field.name.endswith("_list_val"))


class OnlineRows:
    """The online rows of one feature service.

    Args:
        store: Feast's store. The views are looked up once: what is registered later is not seen.
        service: whose views are read.
    """

    def __init__(self, store: FeatureStore, service: FeatureService) -> None:
        self._config = store.config
        self._online = live_store(store)
        self._views = [store.get_feature_view(projection.name) for projection in service.feature_view_projections]
        self._names = [feature.name for view in self._views for feature in view.features]

    def read(self, user_ids: Sequence[str]) -> Mapping[str, Sequence[object]]:
        """The rows of these users.

        Args:
            user_ids: at least one; may repeat.

        Returns:
            user_id and every feature of the service, one value a user in that order; None where there is no row.

        Raises:
            StoreTimeoutError: a time budget is running, and it was not enough.
        """
        distinct = dict.fromkeys(user_ids)
        keys = [entity_key(columns.USER_ID, user_id) for user_id in distinct]
        found: dict[str, list[object]] = {name: [None] * len(keys) for name in self._names}
        for rows in self._online.online_read_views(self._config, self._views, keys):
            for position, (_, values) in enumerate(rows):
                for name, value in (values or {}).items():
                    found[name][position] = _plain(value)
        if len(distinct) < len(user_ids):
            at = {user_id: position for position, user_id in enumerate(distinct)}
            found = {name: [values[at[user_id]] for user_id in user_ids] for name, values in found.items()}
        return {columns.USER_ID: list(user_ids), **found}


def _plain(value: Value) -> object:
    kind = value.WhichOneof("val")
    if kind is None or kind == "null_val":
        return None
    return getattr(value, kind).val[:] if kind in _LISTS else getattr(value, kind)
