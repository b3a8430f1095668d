"""Rows made from the log and the catalogue: as of now, as of any moment, and at the cuts that are stored offline."""

import polars as pl

from recsys.context.folding import BEGINNING
from recsys.context.rows import FOREVER, row_schema


def by_user(rows: pl.DataFrame, name: str) -> dict[str, object]:
    return dict(zip(rows["user_id"], rows[name].to_list(), strict=True))


def test_rows_as_of_now_hold_every_event_and_the_profile(world):
    world.append(("ann", "a", 10), ("ann", "b", 20, "dislike"), ("ann", "c", 20))
    rows = world.folder.now(["ann"])
    assert rows.select(row_schema(world.schema).names()).schema == row_schema(world.schema)
    row = rows.row(0, named=True)
    assert (row["history_items"], row["seen_items"], row["event_count"]) == (["a", "c"], ["a", "b", "c"], 2)
    assert (row["log_sequence"], row["log_position"], row["present"]) == (3, 3, True)
    assert (row["profile_age"], row["profile_likes"]) == (31.5, ["a", "ö"])


def test_a_user_of_the_catalogue_without_events_has_an_empty_row_and_a_stranger_has_none(world):
    world.append(("ann", "a", 10))
    rows = world.folder.now(["silent", "stranger"])
    assert by_user(rows, "event_count") == {"silent": 0}
    assert by_user(rows, "history_items") == {"silent": []}
    assert by_user(rows, "effective_at") == {"silent": BEGINNING}


def test_a_user_that_only_the_log_knows_has_a_row_with_an_empty_profile(world):
    world.append(("new", "a", 10))
    row = world.folder.now(["new"]).row(0, named=True)
    assert row["history_items"] == ["a"]
    assert row["profile_zip_code"] is None


def test_asking_for_a_user_twice_gives_one_row(world):
    world.append(("ann", "a", 10))
    assert world.folder.now(["ann", "ann"]).height == 1


def test_rows_before_moments_leave_out_the_event_of_that_moment(world):
    world.append(("ann", "a", 10), ("ann", "b", 20), ("böb", "c", 15))
    rows = world.folder.before(world.moments(("ann", 20), ("böb", 15), ("stranger", 99)))
    assert by_user(rows, "history_items") == {"ann": ["a"], "böb": []}
    assert by_user(rows, "effective_at") == {"ann": 20, "böb": 15}


def test_one_user_may_be_asked_about_at_several_moments(world):
    world.append(("ann", "a", 10), ("ann", "b", 20), ("ann", "c", 30))
    rows = world.folder.before(world.moments(("ann", 30), ("ann", 10), ("ann", 21), ("ann", 30)))
    found = {moment: items for moment, items in rows.select("effective_at", "history_items").iter_rows()}
    assert found == {10: [], 21: ["a", "b"], 30: ["a", "b"]}
    assert rows.height == 3


def test_no_moments_give_no_rows(world):
    assert world.folder.before(world.moments()).height == 0


def test_cuts_are_everything_before_the_last_and_before_the_one_before_it(world):
    world.append(("ann", "a", 10), ("ann", "b", 20), ("ann", "c", 30), ("böb", "a", 5))
    rows = world.folder.cuts((0, 1, 2)).filter(pl.col("user_id") == "ann")
    assert rows.select("effective_at", "valid_until", "history_items").rows() == [
        (BEGINNING, 10, []),
        (10, 20, ["a"]),
        (20, 30, ["a", "b"]),
        (30, FOREVER, ["a", "b", "c"]),
    ]


def test_a_cut_that_leaves_a_user_no_event_adds_no_second_empty_row(world):
    world.append(("ann", "a", 10))
    rows = world.folder.cuts((0, 1, 2))
    assert rows.filter(pl.col("user_id") == "ann").select("effective_at", "valid_until").rows() == [
        (BEGINNING, 10),
        (10, FOREVER),
    ]
    assert rows.filter(pl.col("user_id") == "silent").select("effective_at", "valid_until").rows() == [
        (BEGINNING, FOREVER)
    ]


def test_every_user_has_exactly_one_row_that_holds_now(world):
    world.append(("ann", "a", 10), ("ann", "b", 10), ("new", "a", 1, "dislike"))
    newest = world.folder.cuts((0, 1, 2)).filter(pl.col("valid_until") == FOREVER)
    assert sorted(newest["user_id"]) == sorted(["ann", "böb", "c c", "silent", "null", "new"])
    assert (
        newest.sort("user_id")
        .drop("effective_at", "valid_until")
        .equals(world.folder.now(newest["user_id"].to_list()).sort("user_id").drop("effective_at"))
    )


def test_chunks_of_users_are_the_rows_of_everybody_whatever_their_size(world):
    world.append(*[(f"u{user:02}", f"i{item}", item) for user in range(11) for item in range(user)])
    world.append(("ann", "a", 10), ("c c", "b", 20, "dislike"), ("", "a", 5))
    whole = world.folder.cuts((0, 1, 2))
    assert whole.height > 20
    for users in (1, 3, 100):
        chunks = list(world.folder.chunks((0, 1, 2), users))
        assert all(chunk["user_id"].n_unique() <= users for chunk in chunks)
        assert pl.concat(chunks).equals(whole)


def test_chunks_are_folded_at_one_log_position_whatever_is_appended_meanwhile(world):
    world.append(("a", "x", 1), ("b", "x", 1))
    chunks = world.folder.chunks((0,), 1)
    rows = [next(chunks)]
    world.append(("zoe", "y", 2), ("b", "y", 2))
    rows = pl.concat([*rows, *chunks])
    assert set(rows["log_position"]) == {2}
    assert by_user(rows.filter(pl.col("event_count") > 0), "event_count") == {"a": 1, "b": 1}


def test_nobody_gives_one_chunk_without_rows_so_that_there_is_a_part_to_read(world):
    world.workspace.users_file.unlink()
    [nobody] = world.folder.chunks((0,), 5)
    assert nobody.height == 0
    assert nobody.schema == world.folder.cuts((0,)).schema
