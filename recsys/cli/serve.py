"""`recsys serve`: the HTTP service of one workspace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from recsys.cli._run import JsonOption, WorkspaceOption, reported
from recsys.workspace import Workspace

if TYPE_CHECKING:
    from recsys.jobs.serve import Serving


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("serve")(serve)


def serve(
    workspace: WorkspaceOption,
    host: Annotated[str, typer.Option("--host", help="Address to listen on; loopback unless allowed.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes any free one.")] = 8000,
    allow_remote: Annotated[
        bool,
        typer.Option("--allow-remote", help="Let other machines reach it: whoever does may read and write events."),
    ] = False,
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
    as_json: JsonOption = False,
) -> None:
    """Answer recommendation requests over HTTP until Ctrl-C or SIGTERM.

    The service follows the registry: a promotion or a rollback takes effect within seconds, without a restart. With
    --json the line is printed once it answers. An experiment (--split) writes impressions as well; see recsys compare.

    Example: recsys serve --workspace movielens-100k --port 8000
    """
    with reported(as_json) as report:
        target = Workspace.existing(workspace)
        report.show(f"Loading the champion of {target.name} …")
        from recsys.jobs.serve import serve as run_service
        from recsys.serving.experiment import ExperimentOptions

        def announce(serving: Serving) -> None:
            report.show(_line(serving))
            report.result(serving.as_dict())
            report.finish()

        experiment = ExperimentOptions(impressions=impressions, split=split, shadow=shadow)
        run_service(target, host=host, port=port, allow_remote=allow_remote, experiment=experiment, on_ready=announce)
        raise typer.Exit(0)


def _line(serving: Serving) -> str:
    model = f"model version {serving.model_version}" if serving.trouble is None else f"no model yet ({serving.trouble})"
    return f"Serving {serving.workspace}, {model}, on {serving.url} · docs {serving.docs} · stop with Ctrl-C"
