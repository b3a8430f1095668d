"""What a command took is that of all its processes; lists are compared by user, costs of a user by their spread."""

import os
import sys
from argparse import Namespace

import polars as pl
import pytest

from benchmarks.growth import LINEAR_FROM, NAME, further, judged, make
from benchmarks.scale.large import share_found
from benchmarks.scale.running import run_measured
from recsys.batch.users import audience
from recsys.data.schema import WorkspaceSchema
from recsys.registry.champion import champion
from recsys.registry.snapshot import load_snapshot
from recsys.workspace import Workspace

BUSY = """
import subprocess, sys, time
if len(sys.argv) > 1:
    held = bytearray(b"1" * 150_000_000)
    while time.process_time() < 1.5:
        pass
    time.sleep(1.5)
else:
    subprocess.run([sys.executable, "-c", CODE, "child"], check=True)
    print("done")
"""


def test_a_commands_children_count():
    code = f"CODE = {BUSY!r}\n{BUSY}"
    ran = run_measured([sys.executable, "-c", code], dict(os.environ))
    assert ran.said == "done\n"
    assert ran.processes == 2
    assert 150_000_000 < ran.peak_bytes <= ran.bytes_at_most
    assert ran.processor_seconds > 1


def test_the_share_of_an_exact_list_that_another_has(tmp_path):
    for name, items in (("searched", "abx"), ("exact", "abc")):
        (tmp_path / name).mkdir()
        lists = pl.DataFrame({"user_id": ["u"] * 3 + ["v"] * 3, "item_id": [*items, *"klm"]})
        lists.write_parquet(tmp_path / name / "part-0.parquet")
    found = share_found(tmp_path / "searched", tmp_path / "exact", users=10)
    assert found == {"mean": 0.8333, "lowest": 0.6667, "users": 2}
    assert share_found(tmp_path / "searched", tmp_path / "exact", users=1)["users"] == 1


@pytest.mark.slow
def test_however_many_users_a_workspace_has_the_same_items_and_so_the_same_model(tmp_path):
    sizes = []
    for users in (20, 60):
        make(tmp_path / str(users), users, Namespace(items=15, events=4))
        workspace = Workspace(NAME, tmp_path / str(users))
        found = audience(workspace, WorkspaceSchema.load(workspace.schema_file))
        assert len(found.users) == users
        folder = champion(workspace).folder
        sizes.append([len(load_snapshot(folder).vocabulary), (folder / "weights.safetensors").stat().st_size])
    assert sizes[0] == sizes[1]
    assert sizes[0][0] == 15


def run(users: int, cost: float, model_bytes: int = 1_000) -> dict[str, object]:
    return {"users": users, "processor_milliseconds_a_user": cost, "model_bytes": model_bytes}


def test_a_further_user_costs_what_lies_between_two_sizes():
    smaller, larger = ({"users": users, "processor_seconds": took} for users, took in ((10, 5.0), (110, 5.5)))
    assert further(larger, smaller) == {"processor_milliseconds_a_further_user": 5.0}
    assert further(smaller, None) == {}


def test_costs_are_compared_over_sizes_that_keep_two_actors_busy():
    found = judged([run(LINEAR_FROM // 10, 9.0), run(LINEAR_FROM, 1.05), run(10 * LINEAR_FROM, 1.0)])
    assert (found["dearest_user_to_cheapest"], found["within_10_percent"]) == (1.05, True)
    assert judged([run(LINEAR_FROM, 1.0), run(10 * LINEAR_FROM, 1.2)])["within_10_percent"] is False
    assert judged([run(10, 1.0), run(LINEAR_FROM, 1.2)])["within_10_percent"] is None
    assert judged([run(10, 1.0, 1_000), run(LINEAR_FROM, 1.0, 1_500)])["model_bytes_largest_to_smallest"] == 1.5
