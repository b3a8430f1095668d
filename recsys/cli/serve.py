"""`recsys serve`: the HTTP service of one workspace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from recsys.cli._run import JsonOption, WorkspaceOption, reported
from recsys.errors import ConfigError
from recsys.workspace import Workspace

if TYPE_CHECKING:
    from recsys.jobs.serve import Serving


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("serve")(serve)


def serve(
    workspace: WorkspaceOption,
    host: Annotated[
        str, typer.Option("--host", help="Where to listen; beyond loopback it needs API keys.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes any free one.")] = 8000,
    auth: Annotated[
        bool | None,
        typer.Option("--auth/--no-auth", help="Ask for API keys (default: not on loopback).", show_default=False),
    ] = None,
    without_auth: Annotated[
        bool,
        typer.Option(
            "--without-auth",
            "--allow-remote",
            help="Ask nobody, on any address: whoever reaches it may read, write and delete.",
        ),
    ] = False,
    allowed_host: Annotated[
        list[str] | None,
        typer.Option(
            "--allowed-host",
            metavar="NAME",
            help="Another name that callers use for it; without keys it answers to its own address and these alone.",
            show_default=False,
        ),
    ] = None,
    impressions: Annotated[
        bool, typer.Option("--impressions", help="Write down what is shown to whom, for recsys compare.")
    ] = False,
    split: Annotated[
        float,
        typer.Option("--split", metavar="SHARE", help="Give this share of the users the @challenger's answers."),
    ] = 0.0,
    shadow: Annotated[
        float,
        typer.Option("--shadow", metavar="SHARE", help="Have the @challenger score this share of requests, unseen."),
    ] = 0.0,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            min=1,
            max=64,
            help="How many processes share the port; on Ray: at most.",
            show_default="1; on Ray the cluster's cores",
        ),
    ] = None,
    ray: Annotated[bool, typer.Option("--ray", help="On Ray Serve: as many processes as the queue asks for.")] = False,
    min_workers: Annotated[
        int | None,
        typer.Option("--min-workers", min=1, max=64, help="On Ray: how many at least.", show_default="1"),
    ] = None,
    max_in_flight: Annotated[
        int, typer.Option("--max-in-flight", min=1, help="Requests at a time in each process; more get a 503.")
    ] = 128,
    notice: Annotated[
        float | None,
        typer.Option(
            "--drain-notice",
            metavar="SECONDS",
            min=0,
            max=300,
            help="After SIGTERM: /readyz says 503 first. Not on Ray.",
            show_default="1.0",
        ),
    ] = None,
    access_log: Annotated[bool, typer.Option("--access-log", help="Log every request, without ids of users.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Answer recommendation requests over HTTP until Ctrl-C or SIGTERM.

    The service follows the registry: a promotion or a rollback takes effect within seconds, without a restart. Its log
    goes to stderr, one JSON object a line. With --json one line on stdout says when it answers. An experiment (--split)
    writes impressions as well; see recsys compare.

    Example: recsys serve --workspace movielens-100k --port 8000
    """
    with reported(as_json) as report:
        if ray and notice is not None:
            raise ConfigError("--drain-notice is not for --ray: Ray's proxy looks away from what leaves by itself.")
        if min_workers is not None and not ray:
            raise ConfigError("--min-workers is for --ray; without it --workers says how many there always are.")
        target = Workspace.existing(workspace)
        if not as_json:
            report.show(f"Loading the champion of {target.name} …")
        from recsys.jobs.serve import serve as run_service
        from recsys.serving.edge.draining import NOTICE_SECONDS
        from recsys.serving.experiment.experiment import ExperimentOptions

        def announce(serving: Serving) -> None:
            if not as_json:
                report.show(_line(serving))
            report.result(serving.as_dict())
            report.finish()

        shared: dict[str, Any] = {
            "host": host,
            "port": port,
            "auth": auth,
            "without_auth": without_auth,
            "allowed_hosts": allowed_host or (),
            "max_in_flight": max_in_flight,
            "access_log": access_log,
            "experiment": ExperimentOptions(impressions=impressions, split=split, shadow=shadow),
            "on_ready": announce,
        }
        if ray:
            from recsys.jobs.serve_on_ray import serve_on_ray

            serve_on_ray(target, at_least=min_workers or 1, at_most=workers, **shared)
        else:
            notice_seconds = NOTICE_SECONDS if notice is None else notice
            run_service(target, workers=workers or 1, notice_seconds=notice_seconds, **shared)
        raise typer.Exit(0)


def _line(serving: Serving) -> str:
    model = f"model version {serving.model_version}" if serving.trouble is None else f"no model yet ({serving.trouble})"
    return f"Serving {serving.workspace}, {model}, on {serving.url} · docs {serving.docs} · stop with Ctrl-C"
