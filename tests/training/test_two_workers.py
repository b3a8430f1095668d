"""Two workers, each with half of the rows and of the windows, do what one does alone; items have attributes."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from recsys.training.body_model import ATTRIBUTE_TABLE, ITEM_TABLE
from recsys.training.table_rows import FIRST_ROWS
from tests.killed_cases import outcomes_of

pytestmark = pytest.mark.slow

DRIVER = Path(__file__).with_name("two_workers.py")
DESCRIBED = [[0], [0, 2], [], [1, 2, 0], [1], [], [2], [1], [0, 1]]
ONE_KIND = [[0], [], [0], [], [], [], [], [0], []]
NOTHING: list[list[int]] = [[]] * 9


def group(workers: int, attributes: list[list[int]] = DESCRIBED, **more: object) -> dict[str, object]:
    return {"workers": workers, "attributes": attributes} | more


ALONE = [group(1), group(1, epochs=4)]
TOGETHER = [group(1), group(2, epochs=4), group(1)]
BARE_ALONE = [group(1, NOTHING), group(1, NOTHING, epochs=4)]
BARE_TOGETHER = [group(1, NOTHING), group(2, NOTHING, epochs=4), group(1, NOTHING)]
EVERYBODY_ASKS = [group(2, asked=[[1, 9, 2, 2, 0, 5, 1], [4, 4, 4, 8]])]
ONE_DOES_NOT_ASK = [group(2, asked=[[2, 7, 0, 2], []])]
ONE_IS_NOT_ASKED = [group(2, asked=[[1, 2], [2, 3]])]
ONE_HAS_NO_ATTRIBUTE = [group(2, ONE_KIND, asked=[[1, 9, 3], [8, 8, 4]])]
ASKED = [EVERYBODY_ASKS, ONE_DOES_NOT_ASK, ONE_IS_NOT_ASKED, ONE_HAS_NO_ATTRIBUTE]
CASES = [ALONE, TOGETHER, BARE_ALONE, BARE_TOGETHER, *ASKED]


class Left:
    """What the groups of a case left."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def held(self, number: int, when: str) -> dict[str, Tensor]:
        """Tables, sums and encoder of a group, put together from what each of its workers held."""
        parts: dict[str, dict[int, Tensor]] = defaultdict(dict)
        for path in sorted(self._folder.glob(f"{number}-{when}-*")):
            with safe_open(path, framework="pt") as stored:
                first = json.loads(stored.metadata()[FIRST_ROWS])
                for key in stored.keys():  # noqa: SIM118  # no mapping
                    name = key.split(".", 1)[1] if key in first else key
                    parts[name][first.get(key, 0)] = stored.get_tensor(key)
        return {name: torch.cat([own[first] for first in sorted(own)]) for name, own in parts.items()}

    def found(self, rank: int) -> Tensor:
        """What a worker of the first group was answered."""
        return load_file(self._folder / f"0-found-{rank}")["found"]

    def asked(self, rank: int) -> list[int]:
        """The rows that a worker of the first group asked its tables for: items, then attributes."""
        return load_file(self._folder / f"0-found-{rank}")["asked"].tolist()

    def whole(self, number: int) -> dict[str, Tensor]:
        """The tables as worker 0 gathered them."""
        return load_file(self._folder / f"{number}-whole")


@pytest.fixture(scope="module")
def left(tmp_path_factory):
    """What was left of each case."""
    folder, told = tmp_path_factory.mktemp("groups"), [json.dumps(case) for case in CASES]
    outcomes = outcomes_of(DRIVER, folder, told)
    assert {case: one["errors"] for case, one in outcomes.items() if one["errors"]} == {}
    return lambda case: Left(folder / str(CASES.index(case)))


def vectors(tables: dict[str, Tensor], items: list[int], attributes: list[list[int]]) -> Tensor:
    found = tables[ITEM_TABLE][items]
    for place, item in enumerate(items):
        own = attributes[item - 1] if item else []
        if own:
            found[place] += tables[ATTRIBUTE_TABLE][own].mean(0)
    return found


@pytest.mark.parametrize("case", ASKED, ids=["everybody asks", "one asks nothing", "one is asked nothing", "no row"])
def test_each_worker_is_answered_with_the_rows_that_it_asked_for(left, case):
    held, attributes = left(case).held(0, "before"), case[0]["attributes"]
    for rank, items in enumerate(case[0]["asked"]):
        torch.testing.assert_close(left(case).found(rank), vectors(held, items, attributes))


def test_no_item_travels_twice_and_neither_do_its_attributes(left):
    assert left(EVERYBODY_ASKS).asked(0) == [0, 1, 2, 5, 9, *(0,), *(0, 2), *(1,), *(0, 1)]
    assert left(EVERYBODY_ASKS).asked(1) == [4, 8, *(1, 2, 0), *(1,)]


@pytest.mark.parametrize("case", ASKED, ids=["everybody asks", "one asks nothing", "one is asked nothing", "no row"])
def test_rows_that_nobody_asked_for_stay_as_they_were_and_all_others_learn(left, case):
    before, after = left(case).held(0, "before"), left(case).held(0, "after")
    asked = {item for items in case[0]["asked"] for item in items}
    named = {attribute for item in asked if item for attribute in case[0]["attributes"][item - 1]}
    for table, rows in ((ITEM_TABLE, asked), (ATTRIBUTE_TABLE, named)):
        moved = (after[table] != before[table]).any(1)
        assert set(moved.nonzero()[:, 0].tolist()) == rows


@pytest.mark.parametrize("case", ASKED, ids=["everybody asks", "one asks nothing", "one is asked nothing", "no row"])
def test_no_two_rows_begin_alike_wherever_they_lie(left, case):
    for table in (ITEM_TABLE, ATTRIBUTE_TABLE):
        rows = left(case).held(0, "before")[table]
        assert len(rows.unique(dim=0)) == len(rows)


PAIRS = [(ALONE, TOGETHER), (BARE_ALONE, BARE_TOGETHER)]


@pytest.mark.parametrize(("alone", "together"), PAIRS, ids=["described", "bare"])
def test_two_workers_fit_what_one_fits_with_the_same_events_a_step(left, alone, together):
    begun, one, two = left(alone).held(0, "after"), left(alone).held(1, "after"), left(together).held(1, "after")
    assert set(one) == set(two)
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, rtol=1e-3, atol=1e-5)
        if "sums" not in name:
            assert not torch.equal(tensor, begun[name]), f"{name} learnt nothing"


@pytest.mark.parametrize(("alone", "together"), PAIRS, ids=["described", "bare"])
def test_a_checkpoint_of_one_is_the_same_in_two_and_one_of_two_in_one(left, alone, together):
    for number in (1, 2):
        written, taken = left(together).held(number - 1, "after"), left(together).held(number, "before")
        assert set(written) == set(taken)
        assert all(torch.equal(taken[name], tensor) for name, tensor in written.items())
    assert (ATTRIBUTE_TABLE in written) is (together is TOGETHER)


def test_what_is_gathered_is_what_the_workers_hold(left):
    held = left(TOGETHER).held(1, "after")
    gathered = left(TOGETHER).whole(1)
    assert set(gathered) == {ITEM_TABLE, ATTRIBUTE_TABLE}
    assert all(torch.equal(table, held[name]) for name, table in gathered.items())
