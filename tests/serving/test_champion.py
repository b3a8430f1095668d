"""The service follows the registry's champion and keeps the last one that worked."""

import time
from dataclasses import replace

import pytest

from recsys.errors import RegistryError, SnapshotError
from recsys.serving.models.champion import ChampionSource
from recsys.serving.ports import NoChampionError, ServedModel


class Registry:
    """Names a champion and loads it, or fails the way it is told to."""

    def __init__(self):
        self.version = None
        self.down = False
        self.damaged = False
        self.local = None
        self.loads = 0

    def named(self):
        if self.down:
            raise RegistryError("the registry is down")
        return self.version

    def load(self):
        self.loads += 1
        if self.damaged:
            raise SnapshotError("weights.safetensors is damaged")
        version = self.local if self.down else self.version
        if version is None:
            raise RegistryError("no champion yet: recsys train")
        return ServedModel(ranker=None, version=version, content_hash="", vocabulary=frozenset(), features=None)


@pytest.fixture
def registry():
    return Registry()


@pytest.fixture
def source(registry):
    return ChampionSource(registry.named, registry.load, every_seconds=0.01)


def test_without_a_champion_it_says_what_the_registry_said(source):
    assert not source.refresh()
    with pytest.raises(NoChampionError, match="recsys train"):
        source.current()


def test_a_champion_that_appears_later_is_served(source, registry):
    source.refresh()
    registry.version = "1"
    assert source.refresh()
    assert source.current().version == "1"


def test_the_same_champion_is_loaded_once(source, registry):
    registry.version = "1"
    for _ in range(3):
        source.refresh()
    assert registry.loads == 1


def test_promotion_and_rollback_swap_the_model(source, registry):
    seen = []
    for registry.version in ("1", "2", "1"):
        source.refresh()
        seen.append(source.current().version)
    assert seen == ["1", "2", "1"]


def test_a_champion_that_cannot_be_loaded_leaves_the_one_before(source, registry):
    registry.version = "1"
    source.refresh()
    registry.version, registry.damaged = "2", True
    assert source.refresh()
    assert source.current().version == "1"
    registry.damaged = False
    source.refresh()
    assert source.current().version == "2"


def test_a_registry_that_is_down_leaves_the_model_and_starts_from_the_local_copy(source, registry):
    registry.down, registry.local = True, "4"
    assert source.refresh()
    assert source.current().version == "4"
    source.refresh()
    assert registry.loads == 1


def test_a_defect_while_loading_is_not_shown_to_callers(source, monkeypatch):
    monkeypatch.setattr(source, "_load", lambda: 1 / 0)
    monkeypatch.setattr(source, "_named", lambda: "1")
    assert not source.refresh()
    with pytest.raises(NoChampionError, match="log says why"):
        source.current()


def test_it_follows_in_the_background_while_entered(source, registry):
    with source:
        registry.version = "1"
        deadline = time.monotonic() + 2
        while not source.refresh() and time.monotonic() < deadline:
            time.sleep(0.01)
        registry.version = "2"
        while source.current().version != "2" and time.monotonic() < deadline:
            time.sleep(0.01)
    assert source.current().version == "2"


def test_a_champion_that_moved_on_while_it_was_loaded_is_followed(source, registry):
    registry.version = "1"
    source.refresh()
    real_load = registry.load

    def moved_on():
        registry.version = "1"
        return real_load()

    registry.version, source._load = "2", moved_on
    source.refresh()
    assert source.current().version == "1"
    registry.version, source._load = "2", real_load
    source.refresh()
    assert source.current().version == "2"


def test_a_degraded_champion_is_loaded_again_once_the_registry_answers(source, registry):
    load = registry.load
    source._load = lambda: replace(load(), degraded="registry_unreachable" if registry.down else None)
    registry.down, registry.local, registry.version = True, "4", "4"
    source.refresh()
    assert source.current().degraded == "registry_unreachable"
    registry.down = False
    source.refresh()
    assert source.current().degraded is None
    source.refresh()
    assert registry.loads == 2


def moving(registry, **options):
    """A source of version 1, and what makes a move show."""
    stamps = [0]
    registry.version = "1"
    source = ChampionSource(
        registry.named, registry.load, every_seconds=600, stamp=lambda: stamps[0], look_seconds=0.01, **options
    )
    source.refresh()

    def move():
        registry.version = "2"
        stamps[0] += 1

    return source, move


def served_in_time(source):
    """The version that it serves once it serves the second one, or at the end of patience."""
    deadline = time.monotonic() + 20
    while source.current().version != "2" and time.monotonic() < deadline:
        time.sleep(0.01)
    return source.current().version


def test_a_move_that_shows_is_followed_without_waiting_for_the_next_question(registry):
    source, move = moving(registry)
    with source:
        registry.version = "2"
        time.sleep(0.1)
        assert source.current().version == "1"
        move()
        assert served_in_time(source) == "2"


def test_where_several_follow_a_move_none_waits_longer_than_the_stagger(registry):
    source, move = moving(registry, stagger_seconds=0.05)
    with source:
        move()
        assert served_in_time(source) == "2"


def test_one_that_leaves_while_it_waits_for_its_turn_loads_nothing(registry):
    source, move = moving(registry, stagger_seconds=1e9)
    with source:
        move()
        time.sleep(0.1)
    assert source.current().version == "1"
    assert registry.loads == 1
