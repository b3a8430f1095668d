"""Two services of one workspace: one folds for both, the other takes over when it is killed; deletions reach both."""

from __future__ import annotations

import os
import signal
import time

import pytest

from recsys.client import Client
from recsys.context.reader import FeastReader
from recsys.data.schema import WorkspaceSchema
from recsys.events.lease import FoldLease
from recsys.events.log import EventLog
from recsys.jobs.delete_users import delete_users
from recsys.jobs.materialise import materialise
from recsys.serving.processes.process import ServerProcess

pytestmark = pytest.mark.slow


def eventually(condition, seconds=40.0):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


def test_one_folds_the_other_takes_over_and_a_deletion_reaches_both(trained, tmp_path):
    reader = FeastReader(trained, WorkspaceSchema.load(trained.schema_file))
    lease, log = FoldLease(trained.event_log), EventLog(trained.event_log)

    def stored(user):
        return reader._store.read_online([user])["log_position"][0]

    services = [ServerProcess.start(trained, log=tmp_path / f"{n}.log") for n in range(2)]
    try:
        assert eventually(lambda: lease.holding() is not None)
        first = next(service for service in services if f"process {service.process_id} " in lease.holding())
        other = next(service for service in services if service is not first)
        with Client(first.url) as one, Client(other.url) as two:
            two.post_events({"user_id": "two-services", "item_id": "f1"})
            assert eventually(lambda: stored("two-services") == log.position()), "the holder folds what others took in"
            assert one.recommend("two-services").degraded is None
            delete_users(trained, ["two-services"])
            for client in (one, two):
                assert client.recommend("two-services").degraded.reason == "unknown_user"
            materialise(trained, rebuild=True)
            two.post_events({"user_id": "after-rebuild", "item_id": "f2"})
            assert eventually(lambda: stored("after-rebuild") == log.position())
        assert eventually(lambda: lease.holding() is not None)
        holder = next(service for service in services if f"process {service.process_id} " in lease.holding())
        os.kill(holder.process_id, signal.SIGKILL)
        survivor = next(service for service in services if service is not holder)
        with Client(survivor.url) as client:
            client.post_events({"user_id": "survivor", "item_id": "f3"})
            assert client.recommend("survivor").degraded is None, "reads wait for nobody"
            assert eventually(lambda: stored("survivor") == log.position()), "the lease passes on"
        assert f"process {survivor.process_id} " in lease.holding()
    finally:
        for service in services:
            service.stop()
