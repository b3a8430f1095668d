"""Which items must not be recommended, whatever a model says of them. One small file beside the catalogue."""

from __future__ import annotations

import json
from collections.abc import Iterable

from recsys.durable import canonical_json, replace_file
from recsys.errors import DataError
from recsys.workspace import Workspace


def unavailable_items(workspace: Workspace) -> frozenset[str]:
    """The items that are not available; none where nobody ever said so.

    Raises:
        DataError: the file is damaged.
    """
    path = workspace.unavailable_file
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return frozenset()
    except (OSError, ValueError) as error:
        raise DataError(
            f"The list of unavailable items {path} is damaged: {error}. Restore it or delete it."
        ) from error
    if not isinstance(found, list) or not all(isinstance(item_id, str) for item_id in found):
        raise DataError(f"The list of unavailable items {path} is no list of ids. Restore it or delete it.")
    return frozenset(found)


def save_unavailable_items(workspace: Workspace, item_ids: Iterable[str]) -> None:
    """Replaces the list in one step; it is on the disk when this returns."""
    replace_file(workspace.unavailable_file, canonical_json(sorted(item_ids)))
