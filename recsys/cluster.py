"""Ray, local and quiet unless an address says otherwise. The only place that starts or stops it."""

from __future__ import annotations

import logging
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from recsys.errors import ClusterError

ADDRESS_VARIABLE = "RAY_ADDRESS"
_TOKEN = "RAY_AUTH_TOKEN"
_TOKEN_PATH = "RAY_AUTH_TOKEN_PATH"
_ATTEMPTS = 3
_SETTINGS = {
    # Workers are the work here, not guests beside it.
    "RAY_worker_niceness": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_TRAIN_V2_ENABLED": "1",
    "RAY_DEDUP_LOGS": "0",
    "RAY_DISABLE_IMPORT_WARNING": "1",
}
_LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""Without this, Ray replaces the loopback address by the machine's own and listens there. It refuses a second node."""


@contextmanager
def ray_cluster() -> Iterator[None]:
    """Connects to Ray for the body of a `with`; what was running before goes on afterwards.

    With $RAY_ADDRESS set it joins that cluster ("auto": the one that `ray start` began here). Otherwise it starts one
    of its own on this machine: loopback only, no dashboard, no usage statistics, every core. That one asks for a token,
    as Ray runs whatever it is sent: $RAY_AUTH_TOKEN, else a random one that its own processes are told.

    Raises:
        ClusterError: Ray could not be started or joined.
    """
    alone = not os.environ.get(ADDRESS_VARIABLE)
    for name, value in (_SETTINGS | _LOOPBACK if alone else _SETTINGS).items():
        os.environ.setdefault(name, value)
    if alone:
        _agree_on_a_token()
    import ray

    if ray.is_initialized():
        yield
        return
    try:
        _connect_patiently()
    except Exception as error:
        where = os.environ.get(ADDRESS_VARIABLE)
        advice = f"Is a cluster running at {where}?" if where else "Is the machine overloaded, or /tmp full?"
        raise ClusterError(f"Ray could not be {'joined' if where else 'started'}: {error}. {advice}") from error
    try:
        yield
    finally:
        ray.shutdown()


def _agree_on_a_token() -> None:
    """Ray reads its token once a process: where it may have done so, it keeps that one, by default a file's."""
    if "ray" not in sys.modules and _TOKEN_PATH not in os.environ:
        os.environ.setdefault(_TOKEN, secrets.token_hex(32))


def _connect_patiently() -> None:
    """Tries again when a busy machine does not get Ray's processes up within Ray's own fixed 30 seconds."""
    import ray

    for attempts_left in range(_ATTEMPTS - 1, -1, -1):
        try:
            _connect()
        except Exception:
            ray.shutdown()
            if not attempts_left:
                raise
        else:
            return


def _connect() -> None:
    import ray

    if os.environ.get(ADDRESS_VARIABLE):
        ray.init(log_to_driver=False, logging_level=logging.ERROR)
        return
    ray.init(
        address="local",
        num_cpus=max(os.cpu_count() or 1, 2),
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        _node_ip_address="127.0.0.1",
    )
