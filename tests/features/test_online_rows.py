"""Online rows as columns: one value a user in the order asked, none where nothing is stored or a null is."""

from types import SimpleNamespace

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def rows():
    from feast.protos.feast.types.Value_pb2 import Null, Value

    from recsys.context.online_rows import OnlineRows

    lists, kept = Value(), Value(int64_val=0)
    lists.string_list_val.val.extend(["a", "ö"])
    empty = Value()
    empty.float_list_val.SetInParent()
    stored = {"ann": {"items": lists, "count": kept}, "böb": {"items": empty, "count": Value(null_val=Null.NULL)}}
    asked = []

    def online_read_views(config, views, keys):
        users = [key.entity_values[0].string_val for key in keys]
        asked.append(users)
        return [
            [(None, {f.name: stored[u][f.name] for f in view.features} if u in stored else None) for u in users]
            for view in views
        ]

    views = {
        "user_context": SimpleNamespace(features=[SimpleNamespace(name="count")]),
        "user_seen": SimpleNamespace(features=[SimpleNamespace(name="items")]),
    }
    provider = SimpleNamespace(online_store=SimpleNamespace(online_read_views=online_read_views))
    store = SimpleNamespace(config=None, _get_provider=lambda: provider, get_feature_view=views.__getitem__)
    service = SimpleNamespace(feature_view_projections=[SimpleNamespace(name=name) for name in views])
    return OnlineRows(store, service), asked


def test_one_value_a_user_in_the_order_asked_and_none_where_there_is_no_row(rows):
    found = rows[0].read(["nobody", "ann", "böb"])
    assert found == {
        "user_id": ["nobody", "ann", "böb"],
        "count": [None, 0, None],
        "items": [None, ["a", "ö"], []],
    }


def test_a_user_who_is_asked_for_twice_is_read_once(rows):
    found = rows[0].read(["ann", "nobody", "ann"])
    assert found["count"] == [0, None, 0]
    assert rows[1][-1] == ["ann", "nobody"]
