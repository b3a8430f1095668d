"""A folder that gave way to nothing gets its name back; what else a killed process left goes, and nothing more."""

import pytest

from recsys.errors import ConfigError
from recsys.jobs.giving_way import appear, held, put_back, sweep, take_place, unfinished_folder


@pytest.fixture
def shop(tmp_path):
    target = tmp_path / "shop"
    target.mkdir()
    (target / "name").write_text("former")
    return target


@pytest.fixture
def new(tmp_path):
    folder = tmp_path / "new"
    folder.mkdir()
    (folder / "name").write_text("new")
    return folder


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_takes_the_place_of_another_which_is_kept_aside(shop, new, tmp_path):
    aside = take_place(new, shop)
    assert (shop / "name").read_text() == "new"
    assert (aside / "name").read_text() == "former"
    put_back(shop)
    assert (shop / "name").read_text() == "new"
    sweep(shop)
    assert names(tmp_path) == ["shop"]


def test_what_gave_way_to_nothing_is_put_back_and_swept_by_nobody(shop, tmp_path):
    aside = tmp_path / ".unfinished-shop-0123456789ab.replaced"
    shop.rename(aside)
    sweep(shop)
    assert aside.is_dir()
    put_back(shop)
    assert (shop / "name").read_text() == "former"
    assert names(tmp_path) == ["shop"]


def test_what_cannot_take_the_place_leaves_the_former_there(shop, tmp_path):
    with pytest.raises(FileNotFoundError):
        take_place(tmp_path / "missing", shop)
    assert (shop / "name").read_text() == "former"


def test_what_somebody_made_while_it_had_no_name_does_not_cost_the_former(shop, new, monkeypatch):
    def somebody(_point):
        shop.mkdir()
        (shop / "name").write_text("somebody's")

    monkeypatch.setattr("recsys.jobs.giving_way.reached", somebody)
    with pytest.raises(ConfigError, match="meanwhile"):
        take_place(new, shop)
    assert (shop / "name").read_text() == "former"


def test_a_name_that_somebody_has_is_not_taken(shop, new):
    with pytest.raises(ConfigError, match="meanwhile"):
        appear(new, shop)
    assert (shop / "name").read_text() == "former"


def test_only_leftovers_of_this_name_that_nobody_works_on_are_swept(shop, tmp_path):
    others = [".unfinished-shop-eu-0123456789ab", ".unfinished-shop-eu-0123456789ab.replaced", ".unfinished-backup-x"]
    for name in (*others, ".unfinished-shop-0123456789ab"):
        (tmp_path / name).mkdir()
    with unfinished_folder(shop) as live:
        sweep(shop)
        assert live.is_dir()
    assert names(tmp_path) == sorted([*others, "shop"])


def test_what_another_process_works_on_is_not_put_back(shop, tmp_path):
    with held(shop):
        shop.rename(tmp_path / ".unfinished-shop-0123456789ab.replaced")
        with pytest.raises(ConfigError, match="another process"):
            put_back(shop)
