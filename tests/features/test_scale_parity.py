"""The state machine of tests/properties/test_parity.py with rows in Redis and their registry in PostgreSQL."""

import uuid

import pytest
from hypothesis import settings

from recsys.context.engine import settings_file
from recsys.jobs.materialise import forget
from recsys.workspace import Workspace
from tests.properties import test_parity

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("services")]


class ScaleParity(test_parity.Parity):
    """Every run has a workspace of its own name: the servers are shared, the folder is not."""

    def new_workspace(self) -> Workspace:
        workspace = Workspace(f"parity-{uuid.uuid4().hex[:12]}", self.home)
        settings_file(workspace).parent.mkdir(parents=True, exist_ok=True)
        settings_file(workspace).write_text(
            'registry = "${RECSYS_TEST_REGISTRY}"\nonline_store = "${RECSYS_TEST_ONLINE_STORE}"\n'
        )
        return workspace

    def teardown(self) -> None:
        if hasattr(self, "workspace"):
            assert not list(self.home.rglob("online.db")), "the rows lay beside the workspace, not in Redis"
            forget(self.workspace)
        super().teardown()


ScaleParity.TestCase.settings = settings(max_examples=3, stateful_step_count=12, deadline=None)
TestScaleParity = ScaleParity.TestCase
