"""The serving job: one workspace's champion over HTTP until it is told to stop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial

from fastapi import FastAPI

from recsys.client import Client
from recsys.errors import RecsysError, ServiceError
from recsys.jobs.delete_users import delete_users, finish_deletions
from recsys.serving.assembly import assemble
from recsys.serving.edge.access import asks_for_keys
from recsys.serving.edge.admission import MAX_IN_FLIGHT
from recsys.serving.edge.draining import NOTICE_SECONDS
from recsys.serving.edge.hosts import own_hosts
from recsys.serving.edge.protection import Protection
from recsys.serving.experiment.experiment import ExperimentOptions
from recsys.serving.models.champion import ChampionSource
from recsys.serving.models.following import STAGGER_SECONDS
from recsys.serving.processes.server import DEFAULT_HOST, DEFAULT_PORT, Listening, run
from recsys.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Serving:
    """A service that answers.

    Attributes:
        url: where.
        docs: its documentation, for a browser.
        workspace: what it serves.
        model_version: the champion's version, None while there is none.
        trouble: why there is none.
    """

    url: str
    docs: str
    workspace: str
    model_version: str | None
    trouble: str | None

    def as_dict(self) -> dict[str, object]:
        """Plain values, for --json."""
        return asdict(self)


def serve(
    workspace: Workspace,
    *,
    host: str = DEFAULT_HOST,
    port: int = DEFAULT_PORT,
    auth: bool | None = None,
    without_auth: bool = False,
    allowed_hosts: Sequence[str] = (),
    workers: int = 1,
    max_in_flight: int = MAX_IN_FLIGHT,
    notice_seconds: float = NOTICE_SECONDS,
    access_log: bool = False,
    experiment: ExperimentOptions | None = None,
    on_ready: Callable[[Serving], None] = lambda serving: None,
) -> None:
    """Serves until SIGTERM or Ctrl-C.

    Args:
        workspace: what to serve.
        host: address to listen on.
        port: 0 for any free one.
        auth: whether callers need an API key; None: everywhere but on loopback.
        without_auth: let whoever reaches an address that others reach do everything.
        allowed_hosts: more names that it is reached by; without keys it answers to its own address and these alone.
        workers: how many processes answer.
        max_in_flight: how many requests each of them answers at a time.
        notice_seconds: how long it goes on answering after it was told to leave.
        access_log: log every request.
        experiment: what is tried and recorded beside the champion's answers; None: nothing.
        on_ready: told once requests are answered.

    Raises:
        ConfigError: the port is taken, the address is not allowed, or there are no keys to ask for.
        FeatureStoreError: the workspace's features were never materialised.
        ServiceError: a worker could not start.
    """
    limits = Protection(max_in_flight=max_in_flight, notice_seconds=notice_seconds, access_log=access_log)
    protection = guarded(limits, workspace, host, auth=auth, without_auth=without_auth, allowed_hosts=allowed_hosts)
    finish_deletions(workspace)
    build = Building(workspace, protection, experiment or ExperimentOptions(), alone=workers == 1)

    def ready(listening: Listening) -> None:
        version, trouble = build.state() if workers == 1 else told_by(listening)
        on_ready(Serving(listening.url, listening.docs, workspace.name, version, trouble))

    allowed = protection.keys_file is not None or without_auth
    run(build, host=host, port=port, allow_remote=allowed, workers=workers, on_ready=ready)


def guarded(
    limits: Protection,
    workspace: Workspace,
    host: str,
    *,
    auth: bool | None,
    without_auth: bool,
    allowed_hosts: Sequence[str],
) -> Protection:
    """The limits, with the workspace's keys where callers need one, else with the names that the service answers to.

    Arguments and errors are those of `serve`.
    """
    asking = asks_for_keys(host, workspace.keys_file, auth=auth, without_auth=without_auth)
    own = own_hosts(host, allowed_hosts)
    return replace(
        limits,
        keys_file=workspace.keys_file if asking else None,
        hosts=None if asking and not allowed_hosts else own,
    )


class Building:
    """Assembles the service, in this process or, sent there, in another one.

    Args:
        workspace: what is served.
        protection: who may come in.
        experiment: what is tried beside the champion.
        alone: no other process serves the same.
    """

    def __init__(
        self, workspace: Workspace, protection: Protection, experiment: ExperimentOptions, *, alone: bool
    ) -> None:
        self._workspace = workspace
        self._protection = protection
        self._experiment = experiment
        self._stagger_seconds = 0.0 if alone else STAGGER_SECONDS
        self._models: ChampionSource | None = None

    def __call__(self) -> FastAPI:
        app, self._models = assemble(
            self._workspace,
            partial(delete_users, self._workspace),
            self._experiment,
            self._protection,
            self._stagger_seconds,
        )
        return app

    def state(self) -> tuple[str | None, str | None]:
        """The version that answers in this process, or why there is none."""
        assert self._models is not None
        try:
            return self._models.current().version, None
        except RecsysError as error:
            return None, str(error)


def told_by(listening: Listening) -> tuple[str | None, str | None]:
    """What `Building.state` says, as a service that runs elsewhere tells it."""
    try:
        with Client(listening.nearby) as client:
            return client.ready().model_version, None
    except ServiceError as error:
        return None, str(error.problem.get("detail") or error)
