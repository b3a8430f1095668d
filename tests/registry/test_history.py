import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.errors import RegistryError
from recsys.registry.history import Move, champions, moves, record_move


def _move(kind: str, before: str | None, after: str) -> Move:
    return Move(workspace="tiny", kind=kind, version_from=before, version_to=after, by="ada", why="", verdict="")


def _walk(*steps: str) -> list[Move]:
    """Moves as promote and rollback make them; a step is a version to promote, or "back"."""
    made: list[Move] = []
    for step in steps:
        stack = champions(made)
        before = stack[-1] if stack else None
        made.append(_move("rollback", before, stack[-2]) if step == "back" else _move("promote", before, step))
    return made


def test_moves_are_read_back_in_order(workspace):
    made = [_move("promote", None, "1"), _move("promote", "1", "2")]
    for move in made:
        record_move(workspace, move)
    assert moves(workspace) == made


def test_there_are_no_moves_before_the_first(workspace):
    assert moves(workspace) == []


def test_a_damaged_line_is_named(workspace):
    record_move(workspace, _move("promote", None, "1"))
    path = workspace.root / "promotions.jsonl"
    path.write_bytes(path.read_bytes() + b'{"workspace": "ti')
    with pytest.raises(RegistryError, match="line 2 is damaged"):
        moves(workspace)


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([], []),
        (["1"], ["1"]),
        (["1", "2", "3"], ["1", "2", "3"]),
        (["1", "2", "back"], ["1"]),
        (["1", "2", "3", "back", "back"], ["1"]),
        (["1", "2", "back", "3"], ["1", "3"]),
        (["1", "2", "1"], ["1", "2", "1"]),
        (["1", "2", "1", "back"], ["1", "2"]),
    ],
)
def test_a_promotion_adds_a_champion_and_a_rollback_takes_it_away(steps, expected):
    assert champions(_walk(*steps)) == expected


def test_a_champion_made_outside_can_be_rolled_back_from():
    made = [_move("promote", None, "1"), _move("observed", "1", "4")]
    assert champions(made) == ["1", "4"]


@given(st.lists(st.sampled_from(["1", "2", "3", "back"]), max_size=30))
def test_a_rollback_undoes_exactly_the_last_promotion(steps):
    made: list[str] = []
    expected: list[str] = []
    for step in steps:
        if (step == "back" and len(expected) < 2) or (expected and expected[-1] == step):
            continue  # promote and rollback make no such move
        made.append(step)
        expected = expected[:-1] if step == "back" else [*expected, step]
    assert champions(_walk(*made)) == expected
