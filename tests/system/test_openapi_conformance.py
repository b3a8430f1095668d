"""A real process over real stores answers as the OpenAPI document says: a sample of what is asked of fakes."""

from __future__ import annotations

import httpx
import pytest

from recsys.jobs.backup import backup
from recsys.jobs.restore import restore
from recsys.serving.edge.protection import MAX_BODY_BYTES
from recsys.serving.processes.connections import MAX_HEAD_BYTES
from recsys.serving.processes.process import ServerProcess
from recsys.workspace import HOME_VARIABLE, Workspace
from tests.serving.conformance import ask_and_check, check_refusal, document, documented_api

pytestmark = pytest.mark.slow

api = documented_api(8, ["f1", "f2", "f3", "u1", "u2", "title", "age", "nobody"], boundaries=False)


@pytest.fixture(scope="module")
def service(trained, tmp_path_factory):
    """A service over a copy of the workspace, as its users are deleted and its items changed."""
    home = tmp_path_factory.mktemp("copy")
    file = home / "films.backup"
    backup(trained, file)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(HOME_VARIABLE, str(home))
        restore(file)
    process = ServerProcess.start(Workspace(trained.name, home), log=home / "serve.log")
    yield process
    assert process.stop() == 0, "the service did not stop cleanly"


@api.parametrize()
def test_every_route_answers_as_the_document_says(case, service):
    ask_and_check(case, base_url=service.url)


def test_the_document_of_a_service_is_the_one_that_was_asked_by(service):
    assert httpx.get(f"{service.url}/openapi.json", trust_env=False).json() == document()


@pytest.mark.parametrize(
    ("status", "request_headers", "content"),
    [
        (400, {"Content-Type": "application/json"}, b"{"),
        (413, {"Content-Type": "application/json"}, b"x" * (MAX_BODY_BYTES + 1)),
        (415, {"Content-Type": "text/plain"}, b"{}"),
        (421, {"Host": "evil.example"}, b""),
        (431, {"X-Long": "x" * MAX_HEAD_BYTES}, b""),
    ],
)
def test_what_a_process_refuses_is_documented(service, status, request_headers, content):
    reply = httpx.post(f"{service.url}/v1/events", headers=request_headers, content=content, trust_env=False)
    assert reply.status_code == status
    check_refusal(reply, "POST", "/v1/events")
