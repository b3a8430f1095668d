"""Files that are followed: what cannot be read just then is tried again, what is damaged is not."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import polars as pl
import pytest

from recsys.data.availability import save_unavailable_items, unavailable_items
from recsys.data.catalogue import Catalogue
from recsys.errors import DataError
from recsys.serving.folder.followed import Followed
from recsys.serving.folder.live_items import LiveItems


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@contextmanager
def no_file_handles() -> Iterator[None]:
    """Nothing can be opened by this process, as where a service has too many connections."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.open(os.devnull, os.O_RDONLY)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def other_years(films) -> None:
    catalogue = Catalogue.load(films)
    replace(catalogue, items=catalogue.items.with_columns(pl.col("year") + 30)).save(films)


def test_without_file_handles_what_was_read_last_goes_on_and_is_followed_after_a_pause(films):
    clock = Clock()
    followed = Followed(films.unavailable_file, lambda: unavailable_items(films), pause_seconds=1.0, clock=clock)
    save_unavailable_items(films, ["m1"])
    with no_file_handles():
        assert followed.current() == frozenset()
        assert followed.is_current()
    assert followed.current() == frozenset()
    clock.now += 1.0
    assert not followed.is_current()
    assert followed.current() == {"m1"}


def test_the_items_themselves_are_tried_again_too(films):
    def latest() -> float:
        return Catalogue.load_items(films).items["year"].max()

    clock = Clock()
    followed = Followed(films.items_file, latest, pause_seconds=1.0, clock=clock)
    before = followed.current()
    other_years(films)
    with no_file_handles():
        assert followed.current() == before
    clock.now += 1.0
    assert followed.current() == before + 30


def test_what_is_damaged_is_read_once_and_again_when_it_is_another_file(films):
    clock, reads = Clock(), []
    followed = Followed(
        films.unavailable_file, lambda: reads.append(1) or unavailable_items(films), pause_seconds=1.0, clock=clock
    )
    films.unavailable_file.write_text("{")
    for _ in range(3):
        assert followed.current() == frozenset()
        clock.now += 10
    assert len(reads) == 2
    save_unavailable_items(films, ["m2"])
    assert followed.current() == {"m2"}


def test_items_are_at_hand_until_one_of_their_files_is_another(films):
    items = LiveItems(films)
    described = items.at_hand().described
    save_unavailable_items(films, ["m1"])
    assert items.at_hand() is None
    assert items.current().unavailable == {"m1"}
    assert items.at_hand() == items.current()
    assert items.current().described is described
    other_years(films)
    assert items.at_hand() is None
    assert items.current().described is not described


def test_whoever_else_reads_the_items_does_so_before_new_ones_are_at_hand_and_not_for_availability(films):
    met = []
    items = LiveItems(films, lambda: met.append(items.at_hand() if met else "first"))
    save_unavailable_items(films, ["m1"])
    items.current()
    assert met == ["first"]
    other_years(films)
    items.current()
    assert met == ["first", None]


def test_a_damaged_catalogue_hides_no_change_of_availability(films):
    items = LiveItems(films)
    films.items_file.write_bytes(b"PAR1 no more")
    save_unavailable_items(films, ["m1"])
    assert items.current().unavailable == {"m1"}
    assert items.current().frame.height == 25


def test_what_cannot_be_read_at_first_is_said(films):
    films.items_file.unlink()
    with pytest.raises(DataError):
        LiveItems(films)
