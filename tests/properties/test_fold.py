"""The fold against a plain restatement of what it promises, over logs that Hypothesis makes up."""

from __future__ import annotations

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from recsys.data.schema import EventMeaning, WorkspaceSchema
from recsys.events.derived import DERIVED_COLUMNS
from recsys.events.fold import FOLD_SCHEMA, fold
from recsys.events.log import LOG_SCHEMA
from recsys.events.ordering import interactions, positions_back

MEANING = EventMeaning(positive=("buy",), negative=("skip",), weights={"buy": 2.0}, min_value=0.5)

events = st.lists(
    st.tuples(
        st.sampled_from("uvw"),
        st.sampled_from("abcd"),
        st.integers(0, 6),
        st.sampled_from(["buy", "buy", "skip", "hover", None]),
        st.sampled_from([None, 0.25, 1.0, 4.0]),
    ),
    max_size=25,
)
repeats = st.booleans()


def log_of(rows):
    numbered = [
        (n, str(n), user, item, at, 0, event, value, 0) for n, (user, item, at, event, value) in enumerate(rows, 1)
    ]
    return pl.DataFrame(numbered, schema=LOG_SCHEMA, orient="row")


def schema_of(items_repeat):
    return WorkspaceSchema(name="shop", repeats=items_repeat, events=MEANING)


def plainly(rows, user, items_repeat, moment=None):
    """What the fold promises of one user, in a loop: (row, effective moments of all the user's events)."""
    mine = sorted((at, n, item, event, value) for n, (who, item, at, event, value) in enumerate(rows, 1) if who == user)
    history, seen, moments, folded = [], [], [], []
    for at, n, item, event, value in mine:
        moments.append(max(at, moments[-1] + 1) if moments else at)
        if moment is not None and moments[-1] >= moment:
            continue
        folded.append(n)
        negative = event == "skip" or (value is not None and value < 0.5)
        positive = event == "buy" and not negative
        if (positive or negative) and item not in seen:
            seen.append(item)
        if positive and (items_repeat or item not in [past for past, _, _ in history]):
            history.append((item, at, 2.0 * (1.0 if value is None else value)))
    return {
        "user_id": user,
        "history_items": [item for item, _, _ in history],
        "history_times": [at for _, at, _ in history],
        "history_values": [weight for _, _, weight in history],
        "seen_items": seen,
        "seen_counts": [sum(own == item for own, _, _ in history) for item in seen],
        "seen_last": [max((at for own, at, _ in history if own == item), default=0) for item in seen],
        "event_count": len(history),
        "first_event_at": history[0][1] if history else 0,
        "last_event_at": history[-1][1] if history else 0,
        "log_sequence": max(folded, default=0),
        "effective_at": moments[len(folded) - 1] if folded else moments[0] - 1,
    }


def plain_part(folded):
    """The rows without what `test_derived` is about."""
    return folded.drop(DERIVED_COLUMNS).to_dicts()


@given(rows=events, items_repeat=repeats)
def test_the_fold_is_what_a_loop_over_events_says(rows, items_repeat):
    folded = fold(log_of(rows), schema_of(items_repeat))
    assert folded.schema == FOLD_SCHEMA
    assert plain_part(folded) == [plainly(rows, user, items_repeat) for user in sorted({row[0] for row in rows})]


@given(rows=events, items_repeat=repeats, moment=st.integers(-1, 12))
def test_before_a_moment_is_the_loop_stopped_there(rows, items_repeat, moment):
    users = sorted({row[0] for row in rows})
    before = pl.DataFrame(
        {"user_id": users, "effective_at": [moment] * len(users)}, schema_overrides={"user_id": pl.String}
    )
    folded = fold(log_of(rows), schema_of(items_repeat), before=before)
    assert plain_part(folded) == [plainly(rows, user, items_repeat, moment) for user in users]


@given(rows=events, items_repeat=repeats, seed=st.integers(0, 9))
def test_neither_row_order_nor_other_users_matter(rows, items_repeat, seed):
    log, schema = log_of(rows), schema_of(items_repeat)
    together = fold(log, schema)
    assert fold(log.sample(fraction=1.0, shuffle=True, seed=seed), schema).equals(together)
    for user in together["user_id"]:
        assert fold(log.filter(user_id=user), schema).equals(together.filter(user_id=user))


@given(rows=events, items_repeat=repeats)
def test_moments_tell_a_users_interactions_apart(rows, items_repeat):
    counted = interactions(log_of(rows), schema_of(items_repeat))
    assert (counted["effective_at"] >= counted["occurred_at"]).all()
    steps = counted.select(pl.col("effective_at").diff().over("user_id")).to_series().drop_nulls()
    assert (steps > 0).all()


@given(rows=events, items_repeat=repeats, back=st.integers(1, 3))
def test_the_row_before_an_interaction_holds_exactly_the_interactions_before_it(rows, items_repeat, back):
    log, schema = log_of(rows), schema_of(items_repeat)
    counted = interactions(log, schema)
    targets = positions_back(counted, back)
    folded = fold(log, schema, before=targets)
    assert folded["user_id"].to_list() == targets["user_id"].to_list()
    for user, target, history in zip(targets["user_id"], targets["item_id"], folded["history_items"], strict=True):
        mine = counted.filter(user_id=user)["item_id"].to_list()
        assert [*history, target] == mine[: len(mine) - back + 1]
