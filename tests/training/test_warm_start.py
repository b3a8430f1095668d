"""A body that begins from an earlier one is where that one was, and may begin only where it has seen no target."""

from dataclasses import replace

import pytest
import torch

from recsys.data.schema import EventMeaning, WorkspaceSchema
from recsys.errors import ConfigError
from recsys.experts.body import BodyConfig, SequenceEncoder
from recsys.training.attributes import ItemAttributes
from recsys.training.body_model import BodyTrainingConfig
from recsys.training.body_start import BodyStart
from recsys.training.config import load_config
from recsys.training.loop import fit_body
from recsys.training.warm_start import refuse_other_data, refuse_to_begin_from, warmed
from recsys.training.windows import Windows

BODY = BodyConfig(width=16, heads=1, layers=1, length=5, dropout=0.0)
THEN, NOW = ("a", "c", "d", "e"), ("a", "b", "c", "e")
LAST = load_config()
USERS = load_config(overrides=["generator.hold_out=users"])


@pytest.fixture
def start():
    torch.manual_seed(1)
    items = torch.randn(len(THEN) + 1, BODY.width)
    items[0] = 0
    encoder = {f"body.encoder.{name}": own for name, own in SequenceEncoder(BODY).state_dict().items()}
    return BodyStart.of({"body.items": items, **encoder}, THEN, NOW), items


def test_known_items_keep_their_vectors_at_their_new_places(start):
    begun, items = start
    assert begun.known.tolist() == [True, True, False, True, True]
    assert torch.equal(begun.items[[1, 3, 4]], items[[1, 2, 4]])
    assert not begun.items[0].any()


def test_a_start_is_read_as_it_was_written(start, tmp_path):
    begun, _ = start
    begun.save(tmp_path / "start.safetensors")
    read = BodyStart.load(tmp_path / "start.safetensors")
    assert torch.equal(read.items, begun.items)
    assert torch.equal(read.known, begun.known)
    assert {name: own.tolist() for name, own in read.encoder.items()} == {
        name: own.tolist() for name, own in begun.encoder.items()
    }


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::FutureWarning:torchrec")
@pytest.mark.parametrize("described", [False, True])
def test_training_begins_where_the_earlier_body_was(start, one_worker, described):
    begun, _ = start
    attributes = ItemAttributes.none(len(NOW))
    if described:
        attributes = ItemAttributes(
            torch.tensor([0, 0, 1, 2, 3, 4]).numpy(), torch.tensor([0, 1, 0, 1]).numpy(), ("x", "y")
        )
    windows = torch.tensor([[1, 2, 3, 4, 1, 3]] * 4)
    fitted = fit_body(
        Windows(windows, torch.arange(windows.numel()).view_as(windows) * 3_600_000_000),
        total_events=windows.numel(),
        attributes=attributes,
        body=BODY,
        config=BodyTrainingConfig(
            epochs=1, batch_events=24, negatives=4, precision="float32", learning_rate=1e-9, table_learning_rate=1e-9
        ),
        world=one_worker,
        seed=3,
        on_epoch=lambda *_: None,
        start=begun,
    )
    assert fitted is not None
    assert torch.allclose(fitted.items[begun.known], begun.items[begun.known], atol=1e-5)
    assert fitted.items[2].any()
    assert all(torch.allclose(fitted.encoder[name], own, atol=1e-5) for name, own in begun.encoder.items())


def test_a_body_that_does_not_begin_from_nothing_gets_fewer_epochs_and_smaller_steps():
    own, less = LAST.body_training, warmed(LAST).body_training
    assert (own.epochs, less.epochs) == (20, 7)
    assert less.table_learning_rate == pytest.approx(0.3 * own.table_learning_rate)
    assert warmed(LAST).model_copy(update={"body_training": own}) == LAST


@pytest.mark.parametrize(
    ("earlier", "position", "config", "said"),
    [
        (load_config(overrides=["body.width=64"]), 10, LAST, "another shape"),
        (LAST, 12, LAST, "trained on the log up to 12, and this run is up to 11"),
        (USERS, 10, LAST, "keeps back for the heads; generator.hold_out has to be last"),
        (LAST, 10, USERS, "keeps back for the heads; generator.hold_out has to be last"),
        (load_config(overrides=["generator.held_out_events=1"]), 10, LAST, r"\(generator.held_out_events\)"),
        (load_config(overrides=["seed=7"]), 10, LAST, r"\(generator.beginners, seed\)"),
        (load_config(overrides=["generator.beginners=0.01"]), 10, LAST, r"\(generator.beginners, seed\)"),
        (load_config(overrides=["generator.beginner_events=5"]), 10, LAST, r"\(generator.beginners, seed\)"),
    ],
)
def test_a_start_that_fits_badly_or_has_seen_targets_is_refused(earlier, position, config, said):
    with pytest.raises(ConfigError, match=said):
        refuse_to_begin_from("3", earlier, position, config, 11)


def test_a_start_that_has_seen_no_target_is_taken():
    refuse_to_begin_from("3", LAST, 11, LAST, 11)
    refuse_to_begin_from("3", LAST, 5, load_config(overrides=["generator.held_out_events=1"]), 11)


SHOP = WorkspaceSchema(name="shop", repeats=True)
PURCHASES = replace(SHOP, events=EventMeaning(positive=("purchase",)))


@pytest.mark.parametrize(
    ("then", "now", "config", "said"),
    [
        (SHOP, PURCHASES, LAST, "says something else of events"),
        (SHOP, replace(SHOP, clock=False), LAST, "says something else of events"),
        (replace(SHOP, baskets=True), replace(SHOP, baskets=True), LAST, "last baskets of users who came back"),
        (SHOP, SHOP, load_config(overrides=["generator.beginners=0.1"]), "events were pruned since"),
    ],
)
def test_a_start_whose_data_were_others_is_refused(then, now, config, said):
    with pytest.raises(ConfigError, match=said):
        refuse_other_data("3", then, now, config, pruned_since=True)


def test_a_start_on_data_that_only_grew_or_are_described_otherwise_is_taken():
    beginners = load_config(overrides=["generator.beginners=0.1"])
    refuse_other_data("3", SHOP, replace(SHOP, user_columns={"age": "numeric"}), beginners, pruned_since=False)
    refuse_other_data("3", SHOP, SHOP, load_config(overrides=["generator.beginners=0"]), pruned_since=True)
