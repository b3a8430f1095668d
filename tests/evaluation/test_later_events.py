"""Which events can judge two trained models: nothing that either was fitted on."""

import polars as pl
import pytest

from recsys.data.canonical import EVENT_SCHEMA
from recsys.data.schema import WorkspaceSchema
from recsys.evaluation.later_events import held_back_targets, later_targets
from recsys.events.log import EventLog

SCHEMA = WorkspaceSchema(name="x")
BASKETS = WorkspaceSchema(name="x", repeats=True, baskets=True)
DAY = 86_400_000_000


@pytest.fixture
def log(tmp_path):
    """Makes the events of a log of (user, item, day), in that order."""

    def make(*rows):
        kept = EventLog(tmp_path / "log.sqlite")
        typed = [(f"e{n}", user, item, day * DAY, None, 1.0) for n, (user, item, day) in enumerate(rows)]
        kept.append(pl.DataFrame(typed, schema=EVENT_SCHEMA, orient="row"))
        return kept.read()

    return make


def _found(targets):
    return dict(zip(targets.user_ids, targets.targets, strict=True))


def test_a_users_first_later_event_is_the_target(log):
    events = log(("ann", "a", 1), ("bob", "a", 1), ("ann", "b", 2), ("ann", "c", 3))
    found = later_targets(events, SCHEMA, after=2)
    assert _found(found) == {"ann": "b"}
    assert found.moments == (2 * DAY,)


def test_nobody_has_later_events_at_the_end_of_the_log(log):
    assert len(later_targets(log(("ann", "a", 1), ("ann", "b", 2)), SCHEMA, after=2)) == 0


def test_a_late_event_is_no_target_because_what_followed_it_was_known(log):
    events = log(("ann", "a", 1), ("ann", "b", 5), ("ann", "late", 3), ("ann", "c", 6))
    assert _found(later_targets(events, SCHEMA, after=2)) == {"ann": "c"}


def test_a_newcomers_first_event_is_context_and_the_second_the_target(log):
    events = log(("ann", "a", 1), ("new", "a", 2), ("new", "b", 3), ("once", "a", 4))
    assert _found(later_targets(events, SCHEMA, after=1)) == {"new": "b"}


def test_a_later_basket_is_a_target_as_a_whole(log):
    events = log(("ann", "a", 1), ("ann", "b", 2), ("ann", "c", 2), ("ann", "d", 3), ("new", "a", 2), ("new", "b", 3))
    assert _found(later_targets(events, BASKETS, after=1)) == {"ann": ("b", "c"), "new": ("b",)}


def test_of_trainings_at_one_position_the_validation_targets_are_held_back(log):
    events = log(*(("ann", item, day) for day, item in enumerate("abcde")), ("two", "a", 1), ("two", "b", 2))
    assert _found(held_back_targets(events, SCHEMA, (7, 7))) == {"ann": "d"}


def test_what_the_earlier_training_was_fitted_on_is_never_held_back(log):
    # At position 2 both of ann's events trained, as she had too few to be evaluated on.
    events = log(
        ("ann", "a", 1), ("ann", "b", 2), ("ann", "c", 3), *(("bob", item, day) for day, item in enumerate("abc"))
    )
    assert _found(held_back_targets(events, SCHEMA, (2, 6))) == {"bob": "b"}


@pytest.mark.parametrize("positions", [(5, 7), (7, 5)])
def test_the_later_trainings_validation_target_lies_at_or_behind_the_earlier_ones(log, positions):
    events = log(*(("ann", item, day) for day, item in enumerate("abcdefg")))
    assert _found(held_back_targets(events, SCHEMA, positions)) == {"ann": "f"}


def test_a_sample_is_the_same_every_time(log):
    events = log(*((f"u{n}", item, day) for n in range(30) for day, item in enumerate("ab")))
    found = later_targets(events, SCHEMA, after=0)
    assert len(found) == 30
    assert found.sample(10) == found.sample(10)
    assert len(found.sample(10)) == 10
