"""The record of a workspace's champions: every move, who made it, when and why. Knows nothing of MLflow."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from recsys.durable import canonical_json, replace_file
from recsys.errors import RegistryError
from recsys.workspace import Workspace

MoveKind = Literal["promote", "rollback", "observed"]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One move of @champion, made or (dry run, nothing to do) only judged.

    Attributes:
        workspace: whose champion.
        kind: `observed` is a move that somebody made outside recsys, noticed at the next one made inside.
        version_from: the champion before, None at the first promotion.
        version_to: the champion after.
        by: who.
        why: their reason, or the policy's.
        verdict: what the policy said, with figures.
        forced: whether the policy had refused.
        moved: False for a dry run, and where the version was the champion already.
        rules: what each rule of the policy said: `rule`, `passed`, `said`.
        at: ISO 8601, UTC.
    """

    workspace: str
    kind: MoveKind
    version_from: str | None
    version_to: str
    by: str
    why: str
    verdict: str
    forced: bool = False
    moved: bool = True
    rules: Sequence[Mapping[str, object]] = ()
    at: str = field(default_factory=_now)

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


def announce_move(workspace: Workspace, move: Move) -> None:
    """Writes down a move that is about to be made, so that one that is cut short is still known with who and why."""
    replace_file(_announcement(workspace), canonical_json(move.as_dict()))


def announced_move(workspace: Workspace) -> Move | None:
    """The move that was announced and neither recorded nor withdrawn; None where there is none, or half of one."""
    try:
        return _read(_announcement(workspace).read_bytes())
    except (OSError, ValueError, TypeError, AttributeError):
        return None


def withdraw_move(workspace: Workspace) -> None:
    """Forgets the announcement: the move was recorded, or never made."""
    _announcement(workspace).unlink(missing_ok=True)


def record_move(workspace: Workspace, move: Move) -> None:
    """Appends a move to `promotions.jsonl`; it is on the disk when this returns, and announced no longer."""
    path = workspace.root / "promotions.jsonl"
    before = path.read_bytes() if path.is_file() else b""
    replace_file(path, before + canonical_json(move.as_dict()))
    withdraw_move(workspace)


def moves(workspace: Workspace) -> list[Move]:
    """All recorded moves, oldest first.

    Raises:
        RegistryError: a line is damaged.
    """
    path = workspace.root / "promotions.jsonl"
    lines = path.read_bytes().splitlines() if path.is_file() else []
    found: list[Move] = []
    for number, line in enumerate(lines, start=1):
        try:
            found.append(_read(line))
        except (ValueError, TypeError, AttributeError) as error:
            raise RegistryError(f"{path}, line {number} is damaged ({error}): restore or remove that line.") from error
    return found


def champions(recorded: Sequence[Move]) -> list[str]:
    """The versions to roll back through, the present champion last: a promotion adds one, a rollback takes it away."""
    stack: list[str] = []
    for move in recorded:
        if not stack and move.version_from is not None:
            stack.append(move.version_from)
        while move.kind == "rollback" and len(stack) > 1 and stack[-1] != move.version_to:
            stack.pop()
        if not stack or stack[-1] != move.version_to:
            stack.append(move.version_to)
    return stack


def _read(line: bytes) -> Move:
    raw = json.loads(line)
    return Move(**raw | {"rules": tuple(raw.get("rules", ()))})


def _announcement(workspace: Workspace) -> Path:
    return workspace.root / "move-under-way.json"
