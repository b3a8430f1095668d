"""The service as it is operated: keys while it runs, several workers, one that is killed, and leaving."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import httpx
import pytest

from recsys.client import Client, ServiceError
from recsys.data.catalogue import Catalogue
from recsys.data.schema import WorkspaceSchema
from recsys.events.lease import FoldLease
from recsys.serving.edge.keys import KeyStore
from recsys.serving.edge.scopes import Scope
from recsys.serving.processes.process import ServerProcess
from recsys.workspace import Workspace

pytestmark = pytest.mark.slow


def eventually(condition, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


def children(process_id):
    """The workers: those children that hold torch; multiprocessing's resource tracker is one as well."""
    found = Path(f"/proc/{process_id}/task/{process_id}/children").read_text().split()
    return {int(child) for child in found if "libtorch" in Path(f"/proc/{child}/maps").read_text()}


def test_told_to_leave_it_finishes_says_so_and_lets_go_of_everything(trained, tmp_path):
    process = ServerProcess.start(trained, "--drain-notice", "60", log=tmp_path / "serve.log")
    lease = FoldLease(trained.event_log)
    assert eventually(lambda: lease.holding() is not None)
    with Client(process.url) as client:
        client.post_events({"user_id": "leaver", "item_id": "f1"})
        os.kill(process.process_id, signal.SIGTERM)
        assert eventually(lambda: httpx.get(f"{process.url}/readyz").status_code == 503)
        assert len(client.recommend("leaver", k=3).items) == 3
    assert process.stop() == 0, "a second signal ends the notice"
    assert lease.holding() is None


@pytest.fixture(scope="module")
def keyed(trained):
    KeyStore(trained.keys_file).create("first", [Scope.ADMIN])
    process = ServerProcess.start(trained, "--auth", "--workers", "2", "--access-log", log=trained.home / "two.log")
    yield process
    assert process.stop() == 0, process.log.read_text()
    trained.keys_file.unlink()


def test_keys_are_made_and_revoked_while_it_runs(keyed, trained):
    store = KeyStore(trained.keys_file)
    token = store.create("shop", [Scope.READ])
    with Client(keyed.url, key=token) as shop, Client(keyed.url) as stranger:
        assert len(shop.recommend("u1", k=3).items) == 3
        for refused, status in (
            (stranger.model, 401),
            (lambda: shop.post_events({"user_id": "u1", "item_id": "f1"}), 403),
        ):
            with pytest.raises(ServiceError) as caught:
                refused()
            assert caught.value.status == status
        store.revoke("shop")
        with pytest.raises(ServiceError, match="revoked"):
            shop.model()


def test_a_worker_that_is_killed_is_replaced_and_requests_go_on(keyed, trained):
    token = KeyStore(trained.keys_file).create("caller", [Scope.READ, Scope.WRITE])
    assert eventually(lambda: len(children(keyed.process_id)) == 2)
    before = children(keyed.process_id)
    victim = min(before)
    os.kill(victim, signal.SIGKILL)
    with Client(keyed.url, key=token) as client:
        for n in range(20):
            client.post_events({"user_id": "two-workers", "item_id": f"f{n}"})
            assert client.recommend("two-workers", k=3).context.events == n + 1
    assert eventually(lambda: len(children(keyed.process_id)) == 2)
    assert victim not in children(keyed.process_id)
    assert len(before & children(keyed.process_id)) == 1


def test_the_workers_count_together(keyed, trained):
    token = KeyStore(trained.keys_file).create("prometheus", [Scope.READ])
    headers = {"Authorization": f"Bearer {token}"}
    wanted = 'recsys_request_seconds_count{method="GET",route="/v1/model",status="200"}'

    def counted():
        told = httpx.get(f"{keyed.url}/metrics", headers=headers).text.splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in told if line.startswith(wanted))

    before = counted()
    for _ in range(30):
        httpx.get(f"{keyed.url}/v1/model", headers=headers).raise_for_status()
    assert {counted() for _ in range(10)} == {before + 30}


def test_the_log_is_json_lines_and_the_address_is_said_once(keyed):
    said = [json.loads(line) for line in keyed.log.read_text().splitlines()]
    assert [line["url"] for line in said if "level" not in line] == [keyed.url]
    replaced = [line for line in said if "takes its place" in line.get("message", "")]
    assert [line["level"] for line in replaced] == ["WARNING"]
    access = [line for line in said if line.get("logger") == "recsys.access"]
    assert {"shop", "caller", "prometheus"} <= {line["key"] for line in access}
    assert all(line["request_id"] for line in access)


def test_a_worker_that_cannot_start_ends_the_service_and_says_why(tmp_path):
    made, schema = Workspace("films", tmp_path), WorkspaceSchema(name="films")
    Catalogue.empty(schema).save(made)
    schema.save(made.schema_file)
    with pytest.raises(ServiceError, match="(?s)ended with code 1: .*recsys features materialise"):
        ServerProcess.start(made, "--workers", "2", log=tmp_path / "serve.log")
