"""`recsys train`: fits a model and registers it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from recsys.cli._run import JsonOption, Report, WorkspaceOption, reported
from recsys.errors import ConfigError
from recsys.workspace import Workspace

_DEFAULT = "default"

if TYPE_CHECKING:
    from recsys.cli.bars import Bars
    from recsys.jobs.registering import TrainResult
    from recsys.training.time_plan import TimePlan


def register(app: typer.Typer) -> None:
    """Adds `train`."""
    app.command("train")(train)


def train(
    workspace: WorkspaceOption,
    *,
    config: Annotated[
        str, typer.Option("--config", metavar="NAME|FILE", help="A named configuration, or a .toml file of yours.")
    ] = _DEFAULT,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override one setting, e.g. body.width=128.")
    ] = None,
    budget: Annotated[
        float | None, typer.Option("--budget", metavar="SECONDS", min=0, help="Train the body for as long as fits in.")
    ] = None,
    resume: Annotated[
        str | None, typer.Option("--resume", metavar="RUN", help="Go on with a run that was interrupted.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="With --resume: of the body, another number than before.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Train the experts and the generator, and register the result as a new version.

    Each user's last two events are kept for validation and test; in a workspace with baskets the last month, and the
    last basket before it. What is reported is validation; test figures come
    from `recsys evaluate --split test`. Nothing is promoted: see `recsys promote`.

    With a budget, what an epoch takes is measured first; the body gets the epochs that fit in, at least one and at most
    those configured, and the rest of the line a quarter of the time.

    A run that was killed goes on from its last checkpoint with --resume and the name that it told as it began: with the
    same settings, on the same events.

    Example: recsys train --workspace movielens-100k --set body_training.epochs=10
    """
    with reported(as_json) as report:
        from recsys.cli.bars import Bars

        target = Workspace.existing(workspace)
        with Bars() as progress:
            if resume is not None:
                _refuse_settings(config, overrides, budget)
                from recsys.jobs.train import resume as go_on

                result, plan = go_on(target, resume, workers=workers, progress=progress), None
            elif workers is not None:
                raise ConfigError("--workers is for --resume. To begin with another number: --set workers=N.")
            else:
                result, plan = _train(target, config, overrides or [], budget, progress, report)
        report.show(_summary(result))
        report.result(result.as_dict() | ({"plan": plan.as_dict()} if plan else {}))


def _train(
    target: Workspace, config: str, overrides: list[str], budget: float | None, progress: Bars, report: Report
) -> tuple[TrainResult, TimePlan | None]:
    from recsys.training.config import load_config

    settings = load_config(config, overrides)

    from recsys.jobs.train import train as job

    plan = None
    if budget is not None:
        from recsys.jobs.time_plan import plan_training

        plan = plan_training(target, settings, budget, progress=progress)
        report.show(_planned(plan))
        settings = plan.applied(settings)

    def told(run: str) -> None:
        report.show(f"If it is interrupted: recsys train --workspace {target.name} --resume {run}")

    return job(target, settings, progress=progress, on_run=told), plan


def _refuse_settings(config: str, overrides: list[str] | None, budget: float | None) -> None:
    if config != _DEFAULT or overrides or budget is not None:
        raise ConfigError(
            "--resume goes on with what the run began with: leave --config, --set and --budget out. The number of "
            "workers alone may differ (--workers)."
        )


def _planned(plan: TimePlan) -> str:
    return (
        f"{plan.epochs} of {plan.configured_epochs} epochs of the body: one takes about {plan.epoch_seconds:.1f} s, "
        f"the closed-form experts {plan.closed_form_seconds:.1f} s twice; measuring took {plan.spent_seconds:.1f} s."
    )


def _summary(result: TrainResult) -> str:
    own = result.metrics["validation"]
    blend = result.metrics["validation_shared_blend"]
    return (
        f"Registered version {result.model_version} of recsys-{result.workspace} after {result.seconds:.0f} s "
        f"(run {result.run_id}).\n"
        f"Validation: NDCG@10 {own['ndcg@10']:.4f}, HR@10 {own['hr@10']:.4f}; "
        f"the best shared blend of the same experts: {blend['ndcg@10']:.4f}, {blend['hr@10']:.4f}.\n"
        f"Make it the champion with: recsys promote --workspace {result.workspace}"
    )
