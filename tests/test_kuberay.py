"""The manifest for Kubernetes gives every pod what the page about scaling says that many machines need."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "scaling.md"


@pytest.fixture
def pods():
    """Environment of each pod's container, by name: the head's, and that of every group of workers."""
    documents = yaml.safe_load_all((ROOT / "services" / "kuberay.yaml").read_text())
    [job] = [one for one in documents if one["kind"] == "RayJob"]
    cluster = job["spec"]["rayClusterSpec"]
    groups = {"head": cluster["headGroupSpec"]} | {own["groupName"]: own for own in cluster["workerGroupSpecs"]}
    found = {}
    for name, group in groups.items():
        [container] = group["template"]["spec"]["containers"]
        found[name] = {own["name"]: own.get("value") for own in container["env"]}
    return found


def test_every_pod_is_told_what_many_machines_need(pods):
    rows = re.findall(r"^\| [^|]+ \| [^|]+ \| ([^|]+) \|$", PAGE.read_text(), re.MULTILINE)
    needed = {variable for cell in rows for variable in re.findall(r"RECSYS_[A-Z_]+", cell)}
    assert len(needed) >= 5
    for name, environment in pods.items():
        assert needed <= environment.keys(), name


def test_no_pod_keeps_a_log_that_machines_cannot_share(pods):
    assert {environment["RECSYS_JOURNAL"] for environment in pods.values()} == {"rollback"}


def test_all_pods_see_the_workspace_under_one_path(pods):
    assert len({environment["RECSYS_HOME"] for environment in pods.values()}) == 1
