"""What Ray Serve is told of the replicas."""

import pytest

from recsys.jobs.serve_on_ray import QUEUE, deployment_options

pytestmark = pytest.mark.slow


def test_replicas_follow_the_queue_between_their_bounds():
    scaling = deployment_options(2, 6, max_in_flight=128)["autoscaling_config"]
    assert (scaling.min_replicas, scaling.max_replicas, scaling.target_ongoing_requests) == (2, 6, QUEUE)


@pytest.mark.parametrize("max_in_flight", [1, 128])
def test_a_replica_is_handed_more_than_it_answers_so_that_it_can_refuse(max_in_flight):
    options = deployment_options(1, 1, max_in_flight=max_in_flight)
    assert options["max_ongoing_requests"] > max_in_flight
    assert 0 < options["max_queued_requests"] < float("inf")


def test_ray_takes_these_options_as_they_are():
    from ray import serve

    made = serve.deployment(object, name="any", **deployment_options(1, 3, max_in_flight=16))
    assert (made.max_ongoing_requests, made.max_queued_requests) == (32, 16)
