"""Whether an online store still holds the rows of a materialisation, and how to be rid of them. No Feast here."""

from __future__ import annotations

from uuid import uuid4

from recsys.context.engine import EMBEDDED, Engine
from recsys.context.layout import online_database, project
from recsys.workspace import Workspace


def mark_online(workspace: Workspace, engine: Engine) -> str:
    """Notes in the online store that its rows are complete; one mark stands for the rows of all versions there.

    Returns:
        The mark, to be kept beside what was materialised.

    Raises:
        FeatureStoreError: the store cannot be reached.
    """
    if engine.online_store == EMBEDDED:
        return EMBEDDED
    from recsys.context.redis_client import mark_materialised, materialisation

    there = materialisation(engine, project(workspace, engine))
    if there is not None:
        return there
    mark = f"redis-{uuid4().hex}"
    mark_materialised(engine, project(workspace, engine), mark)
    return mark


def is_online(workspace: Workspace, engine: Engine, mark: str) -> bool:
    """Whether the rows that came with this mark are there: on this engine, and not lost since.

    Raises:
        FeatureStoreError: the store cannot be reached.
    """
    if engine.online_store == EMBEDDED:
        return mark == EMBEDDED and online_database(workspace).is_file()
    from recsys.context.redis_client import is_materialised

    return mark != EMBEDDED and is_materialised(engine, project(workspace, engine), mark)


def leave_online(workspace: Workspace, engine: Engine) -> None:
    """`forget_online` for a store that is used no longer: no byte stays in its files, as far as it lets us."""
    forget_online(workspace, engine)
    from recsys.context.redis_client import forget_files

    forget_files(engine)


def forget_online(workspace: Workspace, engine: Engine) -> None:
    """Removes the workspace's rows from a store that is not in its folder.

    Raises:
        FeatureStoreError: the store cannot be reached.
    """
    if engine.online_store == EMBEDDED:
        return
    from recsys.context.redis_client import forget_rows

    forget_rows(engine, project(workspace, engine))
