"""A configuration that cannot fit is refused before anything is fitted, with the estimate and what to set."""

import re
from dataclasses import replace

import pytest

from recsys.errors import ConfigError
from recsys.experts.counting import ENTRIES_AT_ONCE
from recsys.training import machine_memory, memory_estimate
from recsys.training.config import load_config
from recsys.training.memory_estimate import GIGA, largest_moment, moments, refuse_what_does_not_fit
from recsys.training.system_sizes import DataSizes

ML_1M = DataSizes(n_items=3_416, n_attributes=18, n_events=987_000, n_prefixes=987_000)
BEAUTY = DataSizes(n_items=12_101, n_attributes=1_200, n_events=154_000, n_prefixes=154_000)
GROCERIES = DataSizes(n_items=60_000, n_attributes=0, n_events=1_300_000, n_prefixes=1_300_000)


def at_most(monkeypatch, gigabytes: float) -> None:
    monkeypatch.setattr(memory_estimate, "available_memory", lambda: int(gigabytes * GIGA))


@pytest.mark.parametrize(("config", "sizes"), [("default", ML_1M), ("sparse", BEAUTY)])
def test_what_the_shipped_configurations_are_meant_for_fits_eight_gigabytes(monkeypatch, config, sizes):
    at_most(monkeypatch, 8)
    refuse_what_does_not_fit(load_config(config), sizes)


def test_a_large_catalogue_is_refused_naming_every_way_out(monkeypatch):
    at_most(monkeypatch, 24)
    with pytest.raises(ConfigError) as refusal:
        refuse_what_does_not_fit(load_config(overrides=["long_term.max_items=6000"]), GROCERIES)
    told = str(refusal.value)
    assert "fitting memory on everyone" in told
    assert "60,000 items" in told
    assert "24.0 GB are available" in told
    assert "memories.memory.max_items=59999" in told
    assert "memories.memory.top" in told
    assert "Nothing was fitted" in told


def test_several_stacked_histories_are_told_of_the_fallback(monkeypatch):
    at_most(monkeypatch, 8)
    stacked = load_config(overrides=["memories.memory.max_columns=200000", "long_term.max_items=6000"])
    with pytest.raises(
        ConfigError, match=r"memories\.memory\.max_columns=24201 to fit only memories\.memory\.fallback"
    ):
        refuse_what_does_not_fit(stacked, BEAUTY)


def test_following_the_advice_helps(monkeypatch):
    """Each refusal names a setting; with it set the estimate is smaller, until all fits."""
    at_most(monkeypatch, 8)
    advice: list[str] = []
    for _ in range(8):
        config = load_config(overrides=advice)
        try:
            refuse_what_does_not_fit(config, GROCERIES)
        except ConfigError as refusal:
            before = largest_moment(config, GROCERIES).total
            [setting] = re.findall(r"set ([a-z_.]+=\d+)", str(refusal))[:1]
            advice.append(setting)
            assert largest_moment(load_config(overrides=advice), GROCERIES).total <= before
        else:
            break
    assert sorted(advice) == ["long_term.max_items=59999", "memories.memory.max_items=59999"]
    refuse_what_does_not_fit(load_config(overrides=advice), GROCERIES)


def test_the_solve_is_reckoned_from_its_arrays():
    config = load_config(overrides=["memories.memory.attribute_weight=0", "long_term.max_items=1"])
    few = replace(ML_1M, n_events=1_000, n_prefixes=1_000)
    [moment] = [own for own in moments(config, few) if own.when == "fitting memory on everyone"]
    [system] = [part for part in moment.parts if "system" in part.what]
    columns = 2 * 3_416
    assert system.size == 2 * 4 * columns**2 + 2 * 4 * columns * 3_416


def test_what_counting_takes_grows_with_the_events_only_until_they_are_counted_in_parts():
    config = load_config(overrides=["memories.memory.windows=[200, 200]", "memories.memory.max_columns=40000"])

    def counting(n_events: int) -> int:
        sizes = replace(ML_1M, n_events=n_events, n_prefixes=n_events)
        [moment] = [own for own in moments(config, sizes) if own.when == "fitting memory on everyone"]
        return next((part.size for part in moment.parts if "decayed histories" in part.what), 0)

    assert counting(10_000) < counting(50_000) < counting(500_000)
    assert counting(500_000) == counting(5_000_000) == 4 * 8 * ENTRIES_AT_ONCE


def test_only_top_weights_make_the_snapshot_smaller_and_not_the_solve():
    whole, kept = load_config("sparse"), load_config("sparse", ["memories.memory.top=200"])
    before, after = ({own.when: own.total for own in moments(own, BEAUTY)} for own in (whole, kept))
    assert after["writing the snapshot"] < before["writing the snapshot"]
    saved = 4 * 12_102 * 12_101 - (2 * 4 * 200 + 8) * 12_102
    assert before["fitting memory on everyone"] - after["fitting memory on everyone"] == saved, (
        "once: those of the second fit are not there yet"
    )


def test_the_targets_never_take_more_than_their_gigabytes():
    [moment] = [own for own in moments(load_config(), BEAUTY) if own.when == "preparing the heads' targets"]
    assert next(part.size for part in moment.parts if "scores" in part.what) == 2 * GIGA


def test_many_workers_are_told_to_be_fewer(monkeypatch):
    at_most(monkeypatch, 8)
    with pytest.raises(ConfigError, match=r"training the body.*lower workers"):
        refuse_what_does_not_fit(load_config(overrides=["workers=64"]), ML_1M)


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine with eight gigabytes left; the folder of its control group."""
    information = tmp_path / "meminfo"
    information.write_text("MemTotal: 16000000 kB\nMemAvailable: 8000000 kB\n")
    monkeypatch.setattr(machine_memory, "_MEMORY_INFORMATION", information)
    monkeypatch.setattr(machine_memory, "_CGROUP", tmp_path)
    return tmp_path


def test_without_a_container_the_machine_decides(machine):
    assert machine_memory.available_memory() == 8_000_000 * 1024
    (machine / "memory.max").write_text("max\n")
    assert machine_memory.available_memory() == 8_000_000 * 1024


def test_a_container_leaves_its_limit_less_what_is_taken_and_cannot_be_dropped(machine):
    (machine / "memory.max").write_text("4000\n")
    (machine / "memory.current").write_text("3000\n")
    (machine / "memory.stat").write_text("anon 1000\ninactive_file 1500\n")
    assert machine_memory.available_memory() == 4_000 - 3_000 + 1_500


def test_older_containers_are_asked_too(machine):
    (machine / "memory").mkdir()
    (machine / "memory" / "memory.limit_in_bytes").write_text("5000")
    (machine / "memory" / "memory.usage_in_bytes").write_text("2000")
    assert machine_memory.available_memory() == 3_000


def test_habits_are_reckoned_where_there_are_some_and_told_how_to_take_less(monkeypatch):
    assert not [own for own in moments(load_config(), ML_1M) if "habit" in own.when]
    config = load_config("baskets", ["habit.max_targets=1000000", "habit.targets_per_user=50"])
    at_most(monkeypatch, 12)
    many = replace(ML_1M, n_events=5_000_000, n_prefixes=500_000, n_repeatable=5_000_000)
    with pytest.raises(ConfigError, match=r"the users' records .*: lower habit\.max_targets"):
        refuse_what_does_not_fit(config, replace(many, n_prefixes=500_000))
    refuse_what_does_not_fit(load_config("baskets", ["habit.max_targets=1000"]), replace(many, n_prefixes=500_000))
