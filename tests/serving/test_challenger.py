"""The challenger is exactly what the registry names; no former one stands in for one that cannot be loaded."""

from __future__ import annotations

import pytest

from recsys.errors import RegistryError, SnapshotError
from recsys.serving.models.challenger import ChallengerSource
from recsys.serving.ports import ServedModel


class Registry:
    """Names a challenger and loads it, or fails the way it is told to."""

    version, down, damaged = None, False, ()

    def __init__(self):
        self.loads = []

    def named(self):
        if self.down:
            raise RegistryError("the registry is down")
        return self.version

    def load(self, version):
        self.loads.append(version)
        if version in self.damaged:
            raise SnapshotError("weights.safetensors is damaged")
        return ServedModel(ranker=None, version=version, content_hash="", vocabulary=frozenset(), features=None)


@pytest.fixture
def registry():
    return Registry()


@pytest.fixture
def source(registry):
    return ChallengerSource(registry.named, registry.load)


def followed(source):
    source.refresh()
    return source.model.version if source.model else None


def test_it_comes_changes_and_goes_with_the_alias(source, registry):
    found = [followed(source)]
    for registry.version in ("2", "3", None, "3"):
        found.append(followed(source))
    assert found == [None, "2", "3", None, "3"]


def test_the_same_challenger_is_loaded_once(source, registry):
    registry.version = "2"
    assert [followed(source) for _ in range(3)] == ["2"] * 3
    assert registry.loads == ["2"]


def test_one_that_cannot_be_loaded_is_none(source, registry, caplog):
    registry.version = "2"
    source.refresh()
    registry.version, registry.damaged = "3", ("3",)
    assert followed(source) is None
    assert "weights.safetensors is damaged" in caplog.text
    registry.damaged = ()
    assert followed(source) == "3"


def test_an_experiment_goes_on_while_the_registry_is_down(source, registry):
    registry.version = "2"
    source.refresh()
    registry.down = True
    assert followed(source) == "2"
