"""The serving job on Ray Serve: the same application in replicas that come and go with the queue."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any
from uuid import uuid4

from fastapi import FastAPI

from recsys.cluster import ray_cluster
from recsys.errors import ClusterError, ConfigError
from recsys.jobs.delete_users import finish_deletions
from recsys.jobs.serve import Building, Serving, guarded, told_by
from recsys.serving.edge.admission import MAX_IN_FLIGHT
from recsys.serving.edge.protection import Protection
from recsys.serving.experiment.experiment import ExperimentOptions
from recsys.serving.http.logs import write_json_lines
from recsys.serving.http.proxied import middlewares
from recsys.serving.processes.server import DEFAULT_HOST, DEFAULT_PORT, reserved
from recsys.workspace import Workspace

NAME = "recsys"
QUEUE = 8
"""How many requests a replica has under way before another one is started."""
_DRAIN_SECONDS = 20.0
_CORES = 0.5
"""That Ray counts for a replica; it may use more while others do not."""
_OF_SERVE = {
    "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": f"{middlewares.__module__}:{middlewares.__name__}",
    # A proxy that a busy machine has not up after three times Ray's 5 seconds would be killed, and the start with it.
    "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "20",
}


def serve_on_ray(
    workspace: Workspace,
    *,
    host: str = DEFAULT_HOST,
    port: int = DEFAULT_PORT,
    auth: bool | None = None,
    without_auth: bool = False,
    allowed_hosts: Sequence[str] = (),
    at_least: int = 1,
    at_most: int | None = None,
    max_in_flight: int = MAX_IN_FLIGHT,
    access_log: bool = False,
    experiment: ExperimentOptions | None = None,
    on_ready: Callable[[Serving], None] = lambda serving: None,
) -> None:
    """Serves until SIGTERM or Ctrl-C, on the cluster of $RAY_ADDRESS or on this machine.

    As many replicas as the requests under way ask for. Each of them follows the registry by itself, as a service of its
    own would.

    Args:
        workspace: what to serve; every node must see it under the same path.
        host: address to listen on.
        port: 0 for any free one.
        auth: whether callers need an API key; None: everywhere but on loopback.
        without_auth: let whoever reaches an address that others reach do everything.
        allowed_hosts: more names that it is reached by; without keys it answers to its own address and these alone.
        at_least: how many replicas there always are.
        at_most: how many replicas there may be; None: as many as the cluster has cores now.
        max_in_flight: how many requests each of them answers at a time.
        access_log: log every request.
        experiment: what is tried and recorded beside the champion's answers; None: nothing.
        on_ready: told once requests are answered.

    Raises:
        ClusterError: Ray, or a replica, could not be started, or Serve runs in the cluster already.
        ConfigError: the port is taken, the address is not allowed, there are no keys to ask for, or `at_least` is more
            than `at_most`.
    """
    if at_most is not None and at_least > at_most:
        raise ConfigError(f"At least {at_least} replicas and at most {at_most} cannot both hold.")
    limits = Protection(max_in_flight=max_in_flight, notice_seconds=0.0, access_log=access_log)
    protection = guarded(limits, workspace, host, auth=auth, without_auth=without_auth, allowed_hosts=allowed_hosts)
    listening, port = reserved(host, port)
    write_json_lines()
    finish_deletions(workspace)
    with ray_cluster(), _told_to_leave() as leave:
        at_most = at_most or max(at_least, _cores())
        build = Building(workspace, protection, experiment or ExperimentOptions(), alone=at_most == 1)
        options = deployment_options(at_least, at_most, max_in_flight)
        with _deployed(f"{NAME}-{workspace.name}-{uuid4().hex[:8]}", build, options, host, port):
            version, trouble = told_by(listening)
            on_ready(Serving(listening.url, listening.docs, workspace.name, version, trouble))
            leave.wait()


def deployment_options(at_least: int, at_most: int, max_in_flight: int) -> dict[str, Any]:
    """What Ray Serve is told of the replicas.

    Ray hands a replica twice as many requests as it answers at a time, so that it is the replica that refuses what is
    too much, with a problem document and `Retry-After`, and answers probes all the same. What waits in the proxy beyond
    that is bounded as well.

    Args:
        at_least: how many replicas there always are.
        at_most: how many there may be.
        max_in_flight: how many requests each of them answers at a time.
    """
    from ray.serve.config import AutoscalingConfig, BackpressureConfig

    return {
        "autoscaling_config": AutoscalingConfig(
            min_replicas=at_least, max_replicas=at_most, target_ongoing_requests=QUEUE
        ),
        "max_ongoing_requests": 2 * max_in_flight,
        "max_queued_requests": max_in_flight,
        "backpressure_config": BackpressureConfig(retry_after_s=1),
        "graceful_shutdown_timeout_s": _DRAIN_SECONDS,
        "ray_actor_options": {"num_cpus": _CORES},
    }


@contextmanager
def _deployed(name: str, build: Building, options: dict[str, Any], host: str, port: int) -> Iterator[None]:
    """The application `name` answers for the body of a `with`; then it goes, and nobody else's."""
    from ray import serve
    from ray.serve.config import ControllerOptions, HTTPOptions
    from ray.serve.schema import LoggingConfig

    def application() -> FastAPI:
        write_json_lines()
        return build()

    quiet = LoggingConfig(log_level=logging.WARNING, enable_access_log=False)
    served: Any = serve.deployment(serve.ingress(application)(), name=NAME, **options)
    _require_no_other()
    try:
        try:
            serve.start(
                http_options=HTTPOptions(host=host, port=port),
                logging_config=quiet,
                controller_options=ControllerOptions(runtime_env={"env_vars": _OF_SERVE}),
            )
            serve.run(served.bind(), name=name, route_prefix="/", logging_config=quiet)
        except Exception as error:
            raise ClusterError(f"Ray Serve could not start the service: {error}") from error
        yield
    finally:
        take_off(name)


def _require_no_other() -> None:
    """One Serve has one port, and its own path for each application: ours needs both to itself."""
    from ray import serve

    there = serve.status()
    if there.proxies or there.applications:
        names = ", ".join(sorted(there.applications)) or "none"
        raise ClusterError(
            f"Ray Serve runs in this cluster already (applications: {names}), and a service needs it to itself. Stop "
            "what is there, take off what a killed service left with `serve shutdown`, or name another cluster in "
            "RAY_ADDRESS."
        )


def take_off(name: str) -> None:
    """Ends an application once its replicas have answered; Serve goes as well, unless somebody else has come to use it.

    Args:
        name: the application's.
    """
    from ray import serve
    from ray.serve.exceptions import RayServeException

    with suppress(RayServeException):  # it never came up
        serve.delete(name)
    if not serve.status().applications:
        serve.shutdown()  # type: ignore[no-untyped-call]


def _cores() -> int:
    import ray

    return int(ray.cluster_resources().get("CPU", 1))  # type: ignore[no-untyped-call]


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
