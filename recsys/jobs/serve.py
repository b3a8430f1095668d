"""The serving job: one workspace's champion over HTTP until it is told to stop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial

from fastapi import FastAPI

from recsys.errors import RecsysError
from recsys.jobs.delete_users import delete_users, finish_deletions
from recsys.serving.assembly import assemble
from recsys.serving.champion import ChampionSource
from recsys.serving.experiment import ExperimentOptions
from recsys.serving.server import DEFAULT_HOST, DEFAULT_PORT, Listening, run
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
    allow_remote: bool = False,
    experiment: ExperimentOptions | None = None,
    on_ready: Callable[[Serving], None] = lambda serving: None,
) -> None:
    """Serves until SIGTERM or Ctrl-C.

    Args:
        workspace: what to serve.
        host: address to listen on.
        port: 0 for any free one.
        allow_remote: let an address be used that other machines can reach.
        experiment: what is tried and recorded beside the champion's answers; None: nothing.
        on_ready: told once requests are answered.

    Raises:
        ConfigError: the port is taken, or the address is not allowed.
        FeatureStoreError: the workspace's features were never materialised.
    """
    finish_deletions(workspace)
    sources: list[ChampionSource] = []

    def build() -> FastAPI:
        app, models = assemble(workspace, partial(delete_users, workspace), experiment or ExperimentOptions())
        sources.append(models)
        return app

    def ready(listening: Listening) -> None:
        version, trouble = _state(sources[0])
        on_ready(Serving(listening.url, listening.docs, workspace.name, version, trouble))

    run(build, host=host, port=port, allow_remote=allow_remote, on_ready=ready)


def _state(models: ChampionSource) -> tuple[str | None, str | None]:
    try:
        return models.current().version, None
    except RecsysError as error:
        return None, str(error)
