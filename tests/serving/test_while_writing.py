"""While somebody writes for long, as a deletion does, questions are answered and writers are told in time."""

import asyncio
from contextlib import asynccontextmanager

import httpx
import pytest

from recsys.events.removals import Removals
from recsys.serving.edge.keys import KeyStore
from recsys.serving.edge.scopes import Scope
from tests.serving.test_limits import app_of

MANY = 60
PATIENCE = 60.0
"""Far more than any of this takes: it only keeps a test that fails from waiting for ever."""


@asynccontextmanager
async def served(app):
    transport = httpx.ASGITransport(app)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://s") as http:
        yield http


def event(number):
    return {"events": [{"event_id": f"e{number}", "user_id": "ann", "item_id": "a"}]}


def posting(http, numbers):
    return [asyncio.create_task(http.post("/v1/events", json=event(number))) for number in numbers]


async def sent_until_accepted(http, number):
    """As a client does, with the same event_id each time."""
    while (reply := await http.post("/v1/events", json=event(number))).status_code == 503:
        await asyncio.sleep(0.05)
    return reply


async def questions(http):
    """One of each kind that is answered in threads."""
    body = {"user_id": "ann", "k": 1}
    return await asyncio.gather(
        http.post("/v1/recommendations", json=body),
        http.post("/v1/recommendations", json={**body, "diversity": 0.5}),
        http.get("/v1/users/ann/context"),
        http.get("/v1/model"),
        http.get("/metrics"),
    )


def test_while_the_log_is_locked_questions_are_answered_and_events_refused_in_time_and_not_kept(service):
    app = app_of(service, event_seconds=1.0)

    async def run():
        async with asyncio.timeout(PATIENCE), served(app) as http:
            with service.log.alone():
                waiting = posting(http, range(MANY))
                await asyncio.sleep(0.2)
                asked = await questions(http)
                told = await asyncio.gather(*waiting)
                kept = service.log.count()
            again = await asyncio.gather(*(sent_until_accepted(http, number) for number in range(10)))
            return asked, told, kept, again

    asked, told, kept, again = asyncio.run(run())
    assert [reply.status_code for reply in asked] == [200] * 5
    assert 'recsys_refused_requests_total{code="overloaded"}' in asked[-1].text
    assert {reply.status_code for reply in told} == {503}
    assert all(reply.headers["retry-after"] for reply in told)
    assert {reply.json()["code"] for reply in told} == {"not_acknowledged", "overloaded"}
    assert kept == 0
    assert [reply.status_code for reply in again] == [200] * 10
    assert service.log.count() == 10


def test_events_that_wait_no_longer_than_they_may_are_acknowledged_and_durable(service):
    app = app_of(service, event_seconds=PATIENCE)

    async def run():
        async with asyncio.timeout(PATIENCE), served(app) as http:
            with service.log.alone():
                waiting = posting(http, range(20))
                await asyncio.sleep(0.2)
                assert not any(task.done() for task in waiting)
            return await asyncio.gather(*waiting)

    replies = asyncio.run(run())
    assert [reply.status_code for reply in replies] == [200] * 20
    assert service.log.read()["event_id"].sort().to_list() == sorted(f"e{n}" for n in range(20))


def test_deletions_and_changes_of_items_under_way_keep_nobody_from_asking(modelled):
    service = modelled()
    app = service.http.app

    async def run():
        async with asyncio.timeout(PATIENCE), served(app) as http:
            with service.log.alone():
                waiting = [asyncio.create_task(http.delete(f"/v1/users/u{n}")) for n in range(20)]
                waiting += [asyncio.create_task(http.delete(f"/v1/items/{item}")) for item in ("m1", "m2", "m3")]
                await asyncio.sleep(0.2)
                asked = await questions(http)
            return asked, await asyncio.gather(*waiting)

    asked, told = asyncio.run(run())
    assert [reply.status_code for reply in asked] == [200] * 5
    assert [reply.status_code for reply in told] == [200] * 23
    assert len(Removals(service.log.path).deleted([f"u{n}" for n in range(20)])) == 20


@pytest.fixture
def keys(tmp_path):
    store = KeyStore(tmp_path / "keys.json")
    return {name: store.create(name, [Scope.READ]) for name in ("one", "other")}


def test_no_key_takes_all_places(service, keys, tmp_path):
    app = app_of(service, keys_file=tmp_path / "keys.json", max_in_flight=4)

    async def never():
        yield b"{"
        await asyncio.Event().wait()

    async def run():
        async with asyncio.timeout(PATIENCE), served(app) as http:
            mine, theirs = ({"Authorization": f"Bearer {keys[name]}"} for name in ("one", "other"))
            typed = {**mine, "Content-Type": "application/json"}
            trickling = [
                asyncio.create_task(http.post("/v1/recommendations", content=never(), headers=typed)) for _ in range(3)
            ]
            await asyncio.sleep(0.1)
            refused = await http.get("/v1/model", headers=mine)
            watched = await http.get("/metrics", headers=mine)
            asked = await http.get("/v1/model", headers=theirs)
            for task in trickling:
                task.cancel()
            await asyncio.gather(*trickling, return_exceptions=True)
            return refused, watched, asked, await http.get("/v1/model", headers=mine)

    refused, watched, asked, afterwards = asyncio.run(run())
    assert (refused.status_code, refused.json()["code"], refused.headers["retry-after"]) == (
        429,
        "too_many_requests",
        "1",
    )
    assert 'recsys_refused_requests_total{code="too_many_requests"} 1.0' in watched.text
    assert (asked.status_code, afterwards.status_code) == (200, 200)
