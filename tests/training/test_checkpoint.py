"""A fit that is cut short goes on from its last whole checkpoint as if nothing had happened."""

from __future__ import annotations

import json

import pytest
import torch

from recsys.experts.body import BodyConfig
from recsys.training.attributes import ItemAttributes
from recsys.training.body_model import BodyTrainingConfig
from recsys.training.checkpoint import Checkpoints
from recsys.training.checkpoint_folder import CheckpointFolder
from recsys.training.fitted_body import FittedBody
from recsys.training.loop import fit_body
from recsys.training.windows import Windows

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning:torchrec")

BODY = BodyConfig(width=16, heads=1, layers=1, length=5, dropout=0.1)
N_ITEMS = 8
ITEMS = torch.tensor([[(start + n) % N_ITEMS + 1 for n in range(6)] for start in range(N_ITEMS)] * 5)
EPOCHS, STEPS = 4, 10
CONFIG = BodyTrainingConfig(
    epochs=EPOCHS, batch_events=ITEMS.numel() // STEPS, negatives=16, learning_rate=1e-2, precision="float32"
)
DESCRIBED = ([0], [0, 1], [1], *[[]] * 5)


class CutShortError(Exception):
    """In the place of a kill."""


class Dying(Checkpoints):
    """Writes a checkpoint after the steps that are named, and dies some steps later."""

    def __init__(self, folder, world, after: tuple[int, ...], dies_at: int) -> None:
        super().__init__(folder, world, minutes=1e9)
        self._after, self._dies_at, self._asked = after, dies_at, 0

    def due(self) -> bool:
        self._asked += 1
        if self._asked == self._dies_at:
            raise CutShortError
        return self._asked in self._after


@pytest.fixture
def fit(one_worker, make_attributes):
    def run(checkpoints=None, losses=None, seed=3) -> FittedBody:
        fitted = fit_body(
            Windows(ITEMS, torch.arange(1, ITEMS.numel() + 1).view_as(ITEMS) * 3_600_000_000),
            total_events=ITEMS.numel(),
            attributes=make_attributes(*DESCRIBED),
            body=BODY,
            config=CONFIG,
            world=one_worker,
            seed=seed,
            on_epoch=lambda epoch, loss: None if losses is None else losses.append((epoch, loss)),
            checkpoints=checkpoints,
        )
        assert fitted is not None
        return fitted

    return run


def same(one: FittedBody, other: FittedBody) -> bool:
    return torch.equal(one.items, other.items) and all(
        torch.equal(one.encoder[name], other.encoder[name]) for name in one.encoder
    )


@pytest.fixture
def whole(fit):
    losses: list[tuple[int, float]] = []
    return fit(losses=losses), losses


@pytest.mark.parametrize(
    ("after", "dies_at"),
    [((), 1), ((), STEPS), ((), STEPS + 3), ((4,), 5), ((STEPS + 4, STEPS + 7), 2 * STEPS - 1), ((3 * STEPS,), 35)],
)
def test_a_fit_that_was_cut_short_ends_bit_by_bit_as_one_that_was_not(fit, whole, one_worker, tmp_path, after, dies_at):
    with pytest.raises(CutShortError):
        fit(Dying(tmp_path, one_worker, after, dies_at))
    losses: list[tuple[int, float]] = []
    fitted = fit(Checkpoints(tmp_path, one_worker, minutes=1e9), losses)
    assert same(fitted, whole[0])
    assert losses == whole[1]


def test_writing_checkpoints_changes_nothing(fit, whole, one_worker, tmp_path):
    assert same(fit(Checkpoints(tmp_path, one_worker, minutes=0)), whole[0])
    assert len(list(tmp_path.iterdir())) == 2, "older ones are removed"


def test_a_fit_that_is_done_is_not_done_again(fit, whole, one_worker, tmp_path):
    fit(Checkpoints(tmp_path, one_worker, minutes=1e9))
    losses: list[tuple[int, float]] = []
    assert same(fit(Dying(tmp_path, one_worker, (), 1), losses), whole[0])
    assert losses == whole[1]


def half_written(folder):
    newest = CheckpointFolder(folder).newest().folder
    newest.rename(newest.with_name(f".unfinished-{newest.name}"))


def without_its_list(folder):
    (CheckpointFolder(folder).newest().folder / "checkpoint.json").unlink()


def with_a_file_cut_off(folder):
    path = CheckpointFolder(folder).newest().folder / "tables-00000.safetensors"
    path.write_bytes(path.read_bytes()[:-1])


def with_a_file_missing(folder):
    (CheckpointFolder(folder).newest().folder / "random-00000.safetensors").unlink()


@pytest.mark.parametrize("damage", [half_written, without_its_list, with_a_file_cut_off, with_a_file_missing])
def test_a_checkpoint_that_is_not_whole_is_not_taken(fit, whole, one_worker, tmp_path, damage):
    with pytest.raises(CutShortError):
        fit(Dying(tmp_path, one_worker, (3, 7), 9))
    damage(tmp_path)
    left = CheckpointFolder(tmp_path).newest()
    assert left is not None
    assert (left.about["epoch"], left.about["step"]) == (1, 3)
    assert same(fit(Checkpoints(tmp_path, one_worker, minutes=1e9)), whole[0])


def test_damaged_ones_take_no_place_of_whole_ones(tmp_path):
    folder = CheckpointFolder(tmp_path)
    for name in ("00003-000000000", "00003-000000005"):
        (tmp_path / f"checkpoint-{name}").mkdir()
    for step in (1, 2):
        name = f"00001-{step:09d}"
        unfinished = folder.unfinished(name, attempt=7)
        unfinished.mkdir()
        folder.finish(unfinished, name, {"epoch": 1, "step": step})
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"checkpoint-00001-00000000{step}" for step in (1, 2)]


def test_nothing_in_a_checkpoint_is_pickled(fit, one_worker, tmp_path):
    with pytest.raises(CutShortError):
        fit(Dying(tmp_path, one_worker, (3,), 9))
    stored = CheckpointFolder(tmp_path).newest()
    assert stored is not None
    assert {path.suffix for path in stored.folder.iterdir()} == {".json", ".safetensors"}
    assert json.loads((stored.folder / "checkpoint.json").read_text()) == stored.about


def test_without_attributes_there_is_one_table(one_worker, tmp_path):
    def run(checkpoints):
        return fit_body(
            Windows(ITEMS, torch.arange(1, ITEMS.numel() + 1).view_as(ITEMS)),
            total_events=ITEMS.numel(),
            attributes=ItemAttributes.none(N_ITEMS),
            body=BODY,
            config=CONFIG,
            world=one_worker,
            seed=1,
            on_epoch=lambda *_: None,
            checkpoints=checkpoints,
        )

    with pytest.raises(CutShortError):
        run(Dying(tmp_path, one_worker, (3,), 4))
    assert same(run(Checkpoints(tmp_path, one_worker, minutes=1e9)), run(None))
