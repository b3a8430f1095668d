"""What holds for one process holds for the same application on Ray Serve, in two replicas: the same tests.

Ray runs in a process of its own and the service joins it, as it would join a cluster.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from recsys.client import Client
from recsys.errors import ServiceError
from recsys.serving.processes.process import ServerProcess
from tests.system import test_bad_input, test_scoring_api, test_service

pytestmark = pytest.mark.slow

START_SECONDS = 600.0
STOP_SECONDS = 180.0
CLUSTER = textwrap.dedent(
    """
    import json
    import sys
    from recsys.cluster import ray_cluster

    def hello():
        from ray import serve
        def answer(request):
            return "hello"
        serve.run(serve.deployment(answer).bind(), name="hello", route_prefix="/hello")

    def applications():
        from ray import serve
        return sorted(serve.status().applications)

    def proxies():
        from ray import serve
        return len(serve.status().proxies)

    def take_hello_off():
        from recsys.jobs.serve_on_ray import take_off
        take_off("hello")

    def address():
        import ray
        return ray.get_runtime_context().gcs_address

    with ray_cluster():
        for asked in sys.stdin:
            print("answer:", json.dumps(globals()[asked.strip()]()), flush=True)
    """
)


class Cluster:
    """A Ray that somebody else started and uses."""

    def __init__(self, folder: Path):
        self.logs = folder / "ray" / "session_latest" / "logs"
        self._process = subprocess.Popen(
            [sys.executable, "-c", CLUSTER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, what: str):
        self._process.stdin.write(f"{what}\n")
        self._process.stdin.flush()
        for line in self._process.stdout:
            if line.startswith("answer: "):
                return json.loads(line.removeprefix("answer: "))
        raise AssertionError(f"the cluster ended with code {self._process.wait()}")

    def said(self) -> list[list[dict]]:
        """What each replica wrote into its log."""
        logs = [path.read_text(errors="replace").splitlines() for path in self.logs.glob("worker-*.err")]
        found = [[json.loads(line) for line in lines if line.startswith("{")] for lines in logs]
        return [lines for lines in found if lines]

    def end(self) -> None:
        self._process.communicate(timeout=STOP_SECONDS)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with tempfile.TemporaryDirectory(prefix="r", dir="/tmp") as folder, pytest.MonkeyPatch.context() as environment:
        environment.setenv("RAY_TMPDIR", folder)  # short: it holds sockets
        environment.setenv("RAY_AUTH_TOKEN", "its-owner-gave-us-the-token-of-the-cluster")
        environment.setenv("RAY_AUTH_MODE", "token")
        environment.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")  # which a Ray on loopback is joined with
        environment.delenv("RAY_ADDRESS", raising=False)
        started = Cluster(Path(folder))
        environment.setenv("RAY_ADDRESS", started.ask("address"))
        yield started
        started.end()


@pytest.fixture(scope="module")
def service(trained, cluster) -> Iterator[ServerProcess]:
    options = ("--ray", "--min-workers", "2", "--workers", "2", "--access-log")
    process = ServerProcess.start(trained, *options, log=trained.home / "ray.log", timeout=START_SECONDS)
    yield process
    assert process.stop(STOP_SECONDS) == 0, process.log.read_text()[-2000:]


@pytest.fixture(scope="module")
def both(service) -> Iterator[list[httpx.Client]]:
    """Two clients of the one service: either replica answers either of them."""
    with (
        httpx.Client(base_url=service.url, timeout=60, trust_env=False) as one,
        httpx.Client(base_url=service.url, timeout=60, trust_env=False) as other,
    ):
        yield [one, other]


http = test_bad_input.http

test_a_known_user = test_service.test_a_known_user_gets_titled_items_that_are_new_to_them
test_a_never_seen_visitor = test_service.test_a_never_seen_visitor_gets_other_items_for_another_history
test_an_unknown_user = test_service.test_an_unknown_user_is_answered_and_told_so
test_an_acknowledged_event = test_service.test_an_acknowledged_event_shows_in_the_very_next_answer_each_time
test_many_callers_at_once = test_service.test_many_callers_at_once_each_see_their_own_events
test_a_user_who_came_with_an_event = test_service.test_a_user_who_came_with_an_event_is_known_at_once
test_the_online_row_follows = test_service.test_the_online_row_follows_in_the_background
test_a_problem_of_the_caller = test_service.test_a_problem_of_the_caller_is_told_with_the_field
test_a_foreign_name = test_service.test_a_request_under_a_foreign_name_is_refused
test_an_escaped_slash = test_service.test_an_escaped_slash_belongs_to_an_id_and_a_plain_one_does_not

test_heads_scores = test_scoring_api.test_heads_scores_and_recommendations_agree
test_a_change_of_an_item = test_scoring_api.test_a_change_of_an_item_is_felt_by_the_other_service_at_its_next_request
test_a_deleted_user = test_scoring_api.test_a_user_who_is_deleted_over_http_is_unknown_to_both_and_named_in_no_file

test_the_field = test_bad_input.test_the_field_that_cannot_be_used_is_named
test_what_cannot_be_read = test_bad_input.test_what_cannot_be_read_at_all_is_said_to_be_so
test_where_nothing_is_left = test_bad_input.test_where_little_or_nothing_is_left_the_reply_says_why
test_unknown_ids = test_bad_input.test_ids_that_are_unknown_or_come_twice_are_answered_one_by_one


@pytest.mark.parametrize("offered", ["mine-1", "<script>", None])
@pytest.mark.parametrize(("path", "status"), [("/readyz", 200), ("/v1/scores", 405), ("/nowhere", 404)])
def test_a_reply_names_its_request_once_by_a_safe_id(service, offered, path, status):
    headers = {} if offered is None else {"X-Request-ID": offered}
    reply = httpx.get(f"{service.url}{path}", headers=headers, trust_env=False)
    assert reply.status_code == status
    [named] = reply.headers.get_list("x-request-id")
    assert reply.json()["request_id"] == named
    assert named == offered if offered == "mine-1" else len(named) == 32


def test_replicas_log_each_request_as_json_lines_without_paths(service, cluster):
    httpx.get(f"{service.url}/v1/users/unmistakable/context", headers={"X-Request-ID": "logged"}, trust_env=False)

    def logged():
        return [line for lines in cluster.said() for line in lines if line.get("request_id") == "logged"]

    assert test_service.eventually(logged)
    [line] = logged()
    assert (line["logger"], line["status"], line["method"]) == ("recsys.access", 200, "GET")
    assert "unmistakable" not in json.dumps(line)


def test_every_replica_follows_a_promotion_and_a_rollback(service, cluster, workspace):
    from recsys.registry.champion import load_champion
    from recsys.registry.promotion import promote, rollback
    from recsys.registry.tracking import log_run

    def answering(version):
        """How many replicas said that they serve it, and have answered since."""
        told = f"serving model version {version}"
        after = [[line["message"] for line in lines] for lines in cluster.said()]
        after = [messages[messages.index(told) :] for messages in after if told in messages]
        return sum("request" in messages for messages in after)

    def asked(version, client):
        return {client.recommend("u4", k=1).model_version for _ in range(20)} == {version}

    snapshot = load_champion(workspace)
    second = log_run(workspace, snapshot=snapshot, params={}, metrics=snapshot.metrics).model_version
    with Client(service.url) as client:
        promote(workspace, second, by="test", why="again", force=True)
        assert test_service.eventually(lambda: asked(second, client) and answering(second) == 2)
        rollback(workspace, by="test", why="back")
        assert test_service.eventually(lambda: asked("1", client))


def test_replicas_had_nothing_to_complain_about(service, cluster):
    assert [line for lines in cluster.said() for line in lines if line["level"] != "INFO"] == []


def test_a_second_service_is_refused_and_the_first_answers_on(service, cluster, trained, tmp_path):
    with pytest.raises(ServiceError, match="Ray Serve runs in this cluster already.*recsys-small-films-"):
        ServerProcess.start(trained, "--ray", log=tmp_path / "second.log", timeout=START_SECONDS)
    with Client(service.url) as client:
        assert client.recommend("u1", k=3).model_version == "1"


def test_leaving_takes_its_own_application_off_and_serve_goes_with_the_last_one(service, cluster):
    cluster.ask("hello")
    assert len(cluster.ask("applications")) == 2
    assert service.stop(STOP_SECONDS) == 0
    assert cluster.ask("applications") == ["hello"]
    assert httpx.get(f"{service.url}/hello", trust_env=False).text == "hello"
    assert httpx.get(f"{service.url}/readyz", trust_env=False).status_code == 404
    cluster.ask("take_hello_off")
    assert (cluster.ask("applications"), cluster.ask("proxies")) == ([], 0)


def test_no_test_of_one_process_was_forgotten():
    """All but those that are about a process of one's own, and one that takes for granted that there is no other."""
    own = {
        "test_the_process_holds_neither_ray_nor_torchrec_and_listens_on_loopback_only",
        "test_what_was_acknowledged_survives_a_killed_process",
        "test_a_service_that_cannot_start_says_why",
        "test_in_all_this_the_service_had_nothing_to_complain_about",
        "test_a_promotion_and_a_rollback_are_followed_without_a_restart",
        "test_the_largest_bodies_together_cost_bounded_memory",
    }
    modules = (test_service, test_scoring_api, test_bad_input)
    there = {name for module in modules for name in vars(module) if name.startswith("test_")}
    text = ast.parse(Path(__file__).read_text())
    here = {node.attr for node in ast.walk(text) if isinstance(node, ast.Attribute) and node.attr.startswith("test_")}
    assert here == there - own
