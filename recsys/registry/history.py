"""The record of a workspace's champions: every move, who made it, when and why. Knows nothing of MLflow."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
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
    at: str = field(default_factory=_now)

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


def record_move(workspace: Workspace, move: Move) -> None:
    """Appends a move to `promotions.jsonl`; it is on the disk when this returns."""
    path = workspace.root / "promotions.jsonl"
    before = path.read_bytes() if path.is_file() else b""
    replace_file(path, before + canonical_json(move.as_dict()))


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
            found.append(Move(**json.loads(line)))
        except (ValueError, TypeError) as error:
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
