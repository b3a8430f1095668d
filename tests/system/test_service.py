"""The real service over real stores: what a newcomer of the product does with it, and what must never happen."""

from __future__ import annotations

import json
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from recsys.client import Client, ServiceError
from recsys.context.reader import FeastReader
from recsys.data.schema import WorkspaceSchema
from recsys.events.log import EventLog
from recsys.serving.processes.process import ServerProcess

pytestmark = pytest.mark.slow


def ids(reply):
    return [item.item_id for item in reply.items]


def eventually(condition, seconds=15.0):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


def test_a_known_user_gets_titled_items_that_are_new_to_them(client, trained):
    seen = set(EventLog(trained.event_log).read(["u1"])["item_id"])
    reply = client.recommend("u1", k=10)
    assert len(reply.items) == 10
    assert not seen & set(ids(reply))
    assert reply.items[0].title == f"Film number {ids(reply)[0][1:]}"
    assert reply.degraded is None
    assert reply.model_version == "1"


def test_a_never_seen_visitor_gets_other_items_for_another_history(client):
    one = client.recommend(history=["f1", "f2", "f3"], k=5)
    other = client.recommend(history=["f21", "f22", "f23"], k=5)
    assert one.degraded is None
    assert ids(one) != ids(other)


def test_an_unknown_user_is_answered_and_told_so(client):
    assert client.recommend("nobody", k=5).degraded.reason == "unknown_user"


def test_an_acknowledged_event_shows_in_the_very_next_answer_each_time(client):
    for _ in range(10):
        before = client.recommend("u2", k=3)
        best = ids(before)[0]
        acknowledged = client.post_events({"user_id": "u2", "item_id": best})
        after = client.recommend("u2", k=3)
        assert best not in ids(after)
        assert after.context.events == before.context.events + 1
        assert after.context.log_sequence == acknowledged.log_sequence


def test_many_callers_at_once_each_see_their_own_events(service):
    def call(number):
        user = f"caller{number}-of-{service.log.stem}"
        with Client(service.url) as own:
            for n in range(10):
                sequence = own.post_events({"user_id": user, "item_id": f"f{(number + n) % 40}"}).log_sequence
                reply = own.recommend(user, k=5)
                assert reply.context.events == n + 1
                assert reply.context.log_sequence <= sequence
                assert f"f{(number + n) % 40}" not in ids(reply)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(call, range(8)))


def test_a_user_who_came_with_an_event_is_known_at_once(client, service):
    newcomer = f"newcomer-to-{service.log.stem}"
    assert client.recommend(newcomer, k=1).degraded.reason == "unknown_user"
    client.post_events({"user_id": newcomer, "item_id": "f5"})
    reply = client.recommend(newcomer, k=3)
    assert reply.degraded is None
    assert "f5" not in ids(reply)


def test_the_online_row_follows_in_the_background(client, trained):
    from recsys.context.store import FeatureStoreAdapter
    from recsys.context.user_store import UserStore

    store = UserStore(FeatureStoreAdapter(trained, WorkspaceSchema.load(trained.schema_file)))
    sequence = client.post_events({"user_id": "u3", "item_id": "f0"}).log_sequence
    assert eventually(lambda: store.read_online(["u3"])["log_sequence"] == [sequence])


def test_the_process_holds_neither_ray_nor_torchrec_and_listens_on_loopback_only(service):
    libraries = Path(f"/proc/{service.process_id}/maps").read_text()
    assert "torch" in libraries
    assert "_raylet" not in libraries
    assert "fbgemm" not in libraries
    assert service.url.startswith("http://127.0.0.1:")


def test_a_promotion_and_a_rollback_are_followed_without_a_restart(client, workspace):
    from recsys.registry.champion import load_champion
    from recsys.registry.promotion import promote, rollback
    from recsys.registry.tracking import log_run

    snapshot = load_champion(workspace)
    second = log_run(workspace, snapshot=snapshot, params={}, metrics=snapshot.metrics)
    promote(workspace, second.model_version, by="test", why="again", force=True)
    assert eventually(lambda: client.model().model_version == second.model_version)
    assert client.recommend("u4", k=1).model_version == second.model_version
    rollback(workspace, by="test", why="back")
    assert eventually(lambda: client.model().model_version == "1")


def test_a_request_under_a_foreign_name_is_refused(service):
    asked = {"Host": "evil.example"}
    assert httpx.get(f"{service.url}/v1/model", headers=asked, trust_env=False).status_code == 421
    assert httpx.get(f"{service.url}/docs", trust_env=False).status_code == 200


def test_an_escaped_slash_belongs_to_an_id_and_a_plain_one_does_not(service, client):
    told = client.call("GET", "/v1/users/a%2Fcontext/context")
    assert told["user_id"] == "a/context"
    assert httpx.get(f"{service.url}/v1/users/a/context/context", trust_env=False).status_code == 404
    assert httpx.get(f"{service.url}/v1/users/%ff/context", trust_env=False).status_code == 422


def test_a_problem_of_the_caller_is_told_with_the_field(client):
    with pytest.raises(ServiceError, match="k: The catalogue has"):
        client.recommend("u1", k=10_000)


def test_what_was_acknowledged_survives_a_killed_process(trained, tmp_path):
    process = ServerProcess.start(trained, log=tmp_path / "serve.log")
    try:
        with Client(process.url) as own:
            acknowledged = own.post_events({"user_id": "u5", "item_id": "f7", "event_id": "last-words"})
        os.kill(process.process_id, signal.SIGKILL)
    finally:
        process.stop()
    log = EventLog(trained.event_log)
    assert acknowledged.accepted == 1
    assert log.position() == acknowledged.log_sequence
    assert "last-words" in log.read(["u5"])["event_id"].to_list()
    [row] = FeastReader(trained, WorkspaceSchema.load(trained.schema_file)).online(["u5"])
    assert row.log_sequence == acknowledged.log_sequence
    assert "f7" in row.seen_items


def test_a_service_that_cannot_start_says_why(trained, tmp_path):
    from dataclasses import replace

    with pytest.raises(ServiceError, match="There is no workspace"):
        ServerProcess.start(replace(trained, name="nowhere"), log=tmp_path / "serve.log")


def test_in_all_this_the_service_had_nothing_to_complain_about(service):
    said = [json.loads(line) for line in service.log.read_text().splitlines()]
    assert [line for line in said if line.get("level") not in (None, "INFO")] == []
    assert [line["url"] for line in said if "level" not in line] == [service.url]
