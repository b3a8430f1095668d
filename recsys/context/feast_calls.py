"""What surrounds every call into Feast: its definitions, silence, a DuckDB of its own, one clear error.

It knows Feast's habits and nothing of rows.
"""

from __future__ import annotations

import importlib.util
import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any

from recsys.context.engine import Engine
from recsys.errors import FeatureStoreError
from recsys.shipped import shipped_folder
from recsys.workspace import Workspace

if TYPE_CHECKING:
    from feast import FeatureStore

_DUCKDB = threading.Lock()


def load_definitions(name: str) -> ModuleType:
    """A module of the shipped Feast repository, such as `user_features`, in a checkout and in a wheel."""
    path = shipped_folder("features") / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"recsys_{name}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise FeatureStoreError(f"The feature definitions {path} cannot be loaded. Install recsys again.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def quieten() -> None:
    """Keeps Feast's own log lines and warnings from people who never chose Feast; errors are still raised."""
    logging.getLogger("feast").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"(feast|ibis)(\.|$)")


def release_registry(store: FeatureStore) -> None:
    """Gives the registry's connections back to its database; a later call opens one again."""
    registry: Any = store.registry
    for engine in {registry.write_engine, registry.read_engine}:
        engine.dispose()


@contextmanager
def own_duckdb() -> Iterator[None]:
    """A DuckDB for one join. Feast works on ibis's process-wide one, which keeps frames and complains at exit."""
    import ibis

    with _DUCKDB:
        backend = ibis.duckdb.connect()
        ibis.set_backend(backend)
        try:
            yield
        finally:
            ibis.options.default_backend = None
            backend.disconnect()


@contextmanager
def reported(what: str, workspace: Workspace, engine: Engine) -> Iterator[None]:
    """Turns whatever Feast, DuckDB or sqlite raise into one message that says what to do.

    Args:
        what: the verb of "Could not …".
        workspace: whose store it is.
        engine: what it runs on; its secrets never show in the message.

    Raises:
        FeatureStoreError: something failed inside.
    """
    try:
        yield
    except FeatureStoreError:
        raise
    except Exception as error:
        told = engine.without_secrets(f"{type(error).__name__}: {error}")
        raise FeatureStoreError(
            f"Could not {what} in {workspace.feature_store}: {told}. If it lasts, rebuild the "
            f"rows from the event log: recsys features materialise --rebuild --workspace {workspace.name}"
        ) from (error if engine.embedded else None)
