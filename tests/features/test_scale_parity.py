"""The state machine of tests/properties/test_parity.py with rows in Redis and their registry in PostgreSQL."""

import pytest
from hypothesis import settings

from recsys.context.engine import settings_file
from recsys.jobs.materialise import forget
from recsys.workspace import Workspace
from tests.properties import test_parity

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("services")]


class ScaleParity(test_parity.Parity):
    """The servers are shared by all runs, and by tests of other workspaces: each begins without rows of the last."""

    def new_workspace(self) -> Workspace:
        workspace = super().new_workspace()
        settings_file(workspace).parent.mkdir(parents=True, exist_ok=True)
        settings_file(workspace).write_text(
            'registry = "${RECSYS_TEST_REGISTRY}"\nonline_store = "${RECSYS_TEST_ONLINE_STORE}"\n'
        )
        forget(workspace)
        return workspace

    def teardown(self) -> None:
        if hasattr(self, "workspace"):
            assert not list(self.home.rglob("online.db")), "the rows lay beside the workspace, not in Redis"
            forget(self.workspace)
        super().teardown()


ScaleParity.TestCase.settings = settings(max_examples=3, stateful_step_count=12, deadline=None)
TestScaleParity = ScaleParity.TestCase
