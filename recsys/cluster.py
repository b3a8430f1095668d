"""Ray, local and quiet unless an address says otherwise. The only place that starts or stops it."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

ADDRESS_VARIABLE = "RAY_ADDRESS"


@contextmanager
def ray_cluster() -> Iterator[None]:
    """Connects to Ray for the body of a `with`; what was running before goes on afterwards.

    With $RAY_ADDRESS set it joins that cluster. Otherwise it starts one on this machine: loopback only, no dashboard,
    no usage statistics, every core.
    """
    for name, value in (
        ("RAY_USAGE_STATS_ENABLED", "0"),
        ("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0"),
        ("RAY_TRAIN_V2_ENABLED", "1"),
        ("RAY_DEDUP_LOGS", "0"),
        ("RAY_DISABLE_IMPORT_WARNING", "1"),
    ):
        os.environ.setdefault(name, value)
    import ray

    if ray.is_initialized():
        yield
        return
    if os.environ.get(ADDRESS_VARIABLE):
        ray.init(log_to_driver=False, logging_level=logging.ERROR)
    else:
        ray.init(
            num_cpus=max(os.cpu_count() or 1, 2),
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            _node_ip_address="127.0.0.1",
        )
    try:
        yield
    finally:
        ray.shutdown()
