"""Opening a workspace that is not there."""

from __future__ import annotations

import pytest

from recsys.errors import ConfigError
from recsys.jobs.opened import open_champion


def test_a_workspace_that_does_not_exist_is_named_with_what_to_do():
    with pytest.raises(ConfigError, match="There is no workspace 'nowhere'.*recsys data import"):
        open_champion("nowhere")
