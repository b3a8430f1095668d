"""The serving job on Ray Serve: the same application in replicas that come and go with the queue."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from fastapi import FastAPI

from recsys.cluster import ray_cluster
from recsys.errors import ClusterError
from recsys.jobs.delete_users import finish_deletions
from recsys.jobs.serve import Building, Serving, guarded, told_by
from recsys.serving.edge.admission import MAX_IN_FLIGHT
from recsys.serving.edge.protection import Protection
from recsys.serving.experiment.experiment import ExperimentOptions
from recsys.serving.processes.server import DEFAULT_HOST, DEFAULT_PORT, reserved
from recsys.workspace import Workspace

NAME = "recsys"
QUEUE = 8
"""How many requests a replica has under way before another one is started."""
_DRAIN_SECONDS = 20.0
_CORES = 0.5
"""That Ray counts for a replica; it may use more while others do not."""


def serve_on_ray(
    workspace: Workspace,
    *,
    host: str = DEFAULT_HOST,
    port: int = DEFAULT_PORT,
    auth: bool | None = None,
    without_auth: bool = False,
    allowed_hosts: Sequence[str] = (),
    replicas: int = 1,
    max_in_flight: int = MAX_IN_FLIGHT,
    access_log: bool = False,
    experiment: ExperimentOptions | None = None,
    on_ready: Callable[[Serving], None] = lambda serving: None,
) -> None:
    """Serves until SIGTERM or Ctrl-C, on the cluster of $RAY_ADDRESS or on this machine.

    One replica at least, at most `replicas`, as many as the requests under way ask for. Each of them follows the
    registry by itself, as a service of its own would.

    Args:
        workspace: what to serve; every node must see it under the same path.
        host: address to listen on.
        port: 0 for any free one.
        auth: whether callers need an API key; None: everywhere but on loopback.
        without_auth: let whoever reaches an address that others reach do everything.
        allowed_hosts: more names that it is reached by; without keys it answers to its own address and these alone.
        replicas: how many at most.
        max_in_flight: how many requests each of them answers at a time.
        access_log: log every request.
        experiment: what is tried and recorded beside the champion's answers; None: nothing.
        on_ready: told once requests are answered.

    Raises:
        ClusterError: Ray, or a replica, could not be started.
        ConfigError: the port is taken, the address is not allowed, or there are no keys to ask for.
    """
    limits = Protection(
        max_in_flight=max_in_flight,
        notice_seconds=0.0,
        access_log=access_log,
        names_requests=False,  # Ray's proxy does, by the id that the application was given
    )
    protection = guarded(limits, workspace, host, auth=auth, without_auth=without_auth, allowed_hosts=allowed_hosts)
    listening, port = reserved(host, port)
    finish_deletions(workspace)
    build = Building(workspace, protection, experiment or ExperimentOptions())
    with ray_cluster(), _told_to_leave() as leave:
        _deploy(build, host, port, replicas, max_in_flight)
        try:
            version, trouble = told_by(listening)
            on_ready(Serving(listening.url, listening.docs, workspace.name, version, trouble))
            leave.wait()
        finally:
            _shut_down()


def _deploy(build: Building, host: str, port: int, replicas: int, max_in_flight: int) -> None:
    from ray import serve
    from ray.serve.config import AutoscalingConfig, HTTPOptions
    from ray.serve.schema import LoggingConfig

    def application() -> FastAPI:
        return build()

    quiet = LoggingConfig(log_level=logging.WARNING, enable_access_log=False)
    served: Any = serve.deployment(
        serve.ingress(application)(),
        name=NAME,
        max_ongoing_requests=max_in_flight,
        autoscaling_config=AutoscalingConfig(min_replicas=1, max_replicas=replicas, target_ongoing_requests=QUEUE),
        graceful_shutdown_timeout_s=_DRAIN_SECONDS,
        ray_actor_options={"num_cpus": _CORES},
    )
    try:
        serve.start(http_options=HTTPOptions(host=host, port=port), logging_config=quiet)
        serve.run(served.bind(), name=NAME, route_prefix="/", logging_config=quiet)
    except Exception as error:
        _shut_down()
        raise ClusterError(f"Ray Serve could not start the service: {error}") from error


def _shut_down() -> None:
    """The replicas finish what they are answering, then everything of Serve goes."""
    from ray import serve

    serve.delete(NAME)
    serve.shutdown()  # type: ignore[no-untyped-call]


@contextmanager
def _told_to_leave() -> Iterator[threading.Event]:
    """Set by SIGTERM or Ctrl-C."""
    leave = threading.Event()
    before = {number: signal.signal(number, lambda *_: leave.set()) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield leave
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
