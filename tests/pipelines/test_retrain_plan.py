"""What a flow is to do is decided once; a flow that is taken up again does exactly that."""

import polars as pl
import pytest

from pipelines.retrain_plan import Request, planned
from recsys.data.canonical import EVENT_SCHEMA
from recsys.data.catalogue import Catalogue
from recsys.data.schema import WorkspaceSchema
from recsys.events.log import EventLog
from recsys.workspace import Workspace

SCHEMA = WorkspaceSchema(name="shop")


class KilledError(Exception):
    """In the place of a kill."""


@pytest.fixture
def workspace(tmp_path):
    made = Workspace("shop", tmp_path)
    made.root.mkdir()
    happened = pl.DataFrame([("e1", "ann", "a", 1, None, 1.0)], schema=EVENT_SCHEMA, orient="row")
    EventLog(made.event_log).append(happened)
    empty = Catalogue.empty(SCHEMA)
    empty.updated(empty.users, empty.items, happened).save(made)
    SCHEMA.save(made.schema_file)
    return made


def test_settings_that_are_read_again_are_in_their_order_which_is_the_experts(workspace):
    request = Request(workspace=workspace, cold=True)
    config = {"memories": {"memory": {}, "short": {}, "long": {}}}
    with pytest.raises(KilledError), planned(request, config):
        raise KilledError
    with planned(request, config) as plan:
        assert list(plan["config"]["memories"]) == ["memory", "short", "long"]
