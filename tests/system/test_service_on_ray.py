"""What holds for one process holds for the same application on Ray Serve: the same tests."""

from __future__ import annotations

import ast
from pathlib import Path

import httpx
import pytest

from recsys.serving.processes.process import ServerProcess
from tests.system import test_service

pytestmark = pytest.mark.slow

START_SECONDS = 600.0
STOP_SECONDS = 180.0


@pytest.fixture(scope="module")
def service(trained):
    process = ServerProcess.start(trained, "--ray", log=trained.home / "ray.log", timeout=START_SECONDS)
    yield process
    assert process.stop(STOP_SECONDS) == 0, process.log.read_text()[-2000:]


test_a_known_user = test_service.test_a_known_user_gets_titled_items_that_are_new_to_them
test_a_never_seen_visitor = test_service.test_a_never_seen_visitor_gets_other_items_for_another_history
test_an_unknown_user = test_service.test_an_unknown_user_is_answered_and_told_so
test_an_acknowledged_event = test_service.test_an_acknowledged_event_shows_in_the_very_next_answer_each_time
test_many_callers_at_once = test_service.test_many_callers_at_once_each_see_their_own_events
test_a_user_who_came_with_an_event = test_service.test_a_user_who_came_with_an_event_is_known_at_once
test_the_online_row_follows = test_service.test_the_online_row_follows_in_the_background
test_a_promotion_and_a_rollback = test_service.test_a_promotion_and_a_rollback_are_followed_without_a_restart
test_a_problem_of_the_caller = test_service.test_a_problem_of_the_caller_is_told_with_the_field
test_a_foreign_name = test_service.test_a_request_under_a_foreign_name_is_refused
test_an_escaped_slash = test_service.test_an_escaped_slash_belongs_to_an_id_and_a_plain_one_does_not


def test_a_reply_names_its_request_once(service):
    reply = httpx.get(f"{service.url}/readyz", headers={"X-Request-ID": "mine-1"}, trust_env=False)
    assert reply.headers.get_list("x-request-id") == ["mine-1"]
    assert reply.json()["request_id"] == "mine-1"


def test_no_test_of_one_process_was_forgotten():
    """All but those that are about a process of one's own."""
    own = {
        "test_the_process_holds_neither_ray_nor_torchrec_and_listens_on_loopback_only",
        "test_what_was_acknowledged_survives_a_killed_process",
        "test_a_service_that_cannot_start_says_why",
        "test_in_all_this_the_service_had_nothing_to_complain_about",
    }
    there = {name for name in vars(test_service) if name.startswith("test_")}
    text = ast.parse(Path(__file__).read_text())
    here = {node.attr for node in ast.walk(text) if isinstance(node, ast.Attribute) and node.attr.startswith("test_")}
    assert here == there - own
