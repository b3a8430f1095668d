"""What a retraining run is to do, decided once and written down, so that a resumed run does the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recsys.errors import ConfigError, DataError
from recsys.workspace import Workspace

FOLDER = "retraining"
_PLAN = "plan.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked for.

    Attributes:
        workspace: which one.
        data: a folder of new events, as `recsys data import` takes it; None: what the log holds.
        config: a named configuration or a .toml file.
        overrides: of single settings.
        cold: begin from nothing, not from the champion.
    """

    workspace: Workspace
    data: Path | None = None
    config: str = "default"
    overrides: tuple[str, ...] = ()
    cold: bool = False


def data_digest(folder: Path) -> str:
    """SHA-256 over the names and bytes of a folder's files."""
    if not folder.is_dir():
        raise DataError(f"There is no folder {folder}. --data takes one, as `recsys data import` does.")
    digest = hashlib.sha256()
    for path in sorted(entry for entry in folder.rglob("*") if entry.is_file()):
        digest.update(f"{path.relative_to(folder)}\0".encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


@contextmanager
def planned(request: Request, config: dict[str, Any]) -> Iterator[dict[str, object]]:
    """What is to be trained, decided once: log position, what the log says up to there, the champion to begin from.

    A plan that was not finished stands, and events that came meanwhile wait for the next run; a finished one stands
    while nothing is new, so that its steps are found done. What was deleted from the log ends both.
    """
    from recsys.events.log import EventLog
    from recsys.registry.lineage import code_hash
    from recsys.training.dataset import Dataset

    workspace, path = request.workspace, request.workspace.root / FOLDER / _PLAN
    settings = {"config": config, "code": code_hash(), "cold": request.cold}

    def asked(position: int) -> dict[str, object]:
        data = Dataset.load(workspace, upto=position).fingerprint()
        return {**settings, "position": position, "data": data}

    newest = EventLog(workspace.event_log).position()
    plan, finished = _stored_plan(path)
    wanted = asked(newest if finished else int(plan["position"]))
    if {name: plan.get(name) for name in wanted} != wanted:
        begin_from = None if request.cold else _champion(workspace)
        plan = {**(wanted if wanted["position"] == newest else asked(newest)), "begin_from": begin_from}
        _store(path, plan, finished=False)
    yield plan
    _store(path, plan, finished=True)


def _store(path: Path, plan: dict[str, Any], *, finished: bool) -> None:
    """Keys of the configuration stay in their order: it is the experts' order."""
    from recsys.durable import replace_file

    replace_file(path, json.dumps({"plan": plan, "finished": finished}).encode() + b"\n")


def _stored_plan(path: Path) -> tuple[dict[str, Any], bool]:
    """The plan last made, empty when there is none, and whether it was finished."""
    try:
        stored = json.loads(path.read_bytes())
        plan = dict(stored["plan"])
        return plan | {"position": int(plan["position"])}, bool(stored["finished"])
    except (OSError, ValueError, KeyError, TypeError):
        return {}, True


def _champion(workspace: Workspace) -> str | None:
    from recsys.registry.champion import champion_version
    from recsys.registry.client import exists

    if not exists(workspace):
        return None
    try:
        return champion_version(workspace)
    except ConfigError:
        return None  # nothing was promoted yet
