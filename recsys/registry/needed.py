"""Which versions may still have to answer: the champion's, the challenger's, a rollback's, those in use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recsys.registry.leases import versions_in_use
from recsys.registry.local import last_good
from recsys.registry.moving import kept_champions
from recsys.registry.versions import CHALLENGER, CHAMPION, LIVE_CHALLENGER, aliased
from recsys.workspace import Workspace

if TYPE_CHECKING:
    from mlflow import MlflowClient

ROLLBACK = "what a rollback restores"


def needed_versions(client: MlflowClient, workspace: Workspace) -> dict[str, str]:
    """Why a version is needed, by its number; of several reasons the weightiest."""
    reasons: dict[str, str] = {}
    earlier = kept_champions(client, workspace)
    if earlier:
        reasons[earlier[-1]] = ROLLBACK
    for number, holders in versions_in_use(workspace).items():
        reasons[number] = f"in use by {', '.join(holders)}"
    remembered = last_good(workspace)
    if remembered is not None:
        reasons[remembered[0].version] = "the last good local copy"
    for alias in (CHALLENGER, LIVE_CHALLENGER, CHAMPION):
        named = aliased(client, workspace, alias)
        if named is not None:
            reasons[named] = alias
    return reasons
