"""The whole product once, on MovieLens-100K: from raw events to served recommendations, every part the real one.

Run it with `make quickstart`. A second run reuses what is still valid and says so.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from rich.console import Console

from recsys.cli._run import reported
from recsys.cli.environment import calm_libraries
from recsys.workspace import Workspace

if TYPE_CHECKING:
    from pipelines.quickstart_service import ServiceTour
    from recsys.evaluation.report import EvaluationReport
    from recsys.jobs.batch import BatchResult
    from recsys.jobs.explain import Explanations
    from recsys.jobs.registering import TrainResult

WORKSPACE = "movielens-100k"
CONFIG = "quickstart"
USER = "42"
TOP_K = 20
REUSE_WITHIN = 0.01
"""A model stays valid while the log has grown by at most this share: new events reach its heads without training."""

_PAGE_WIDTH = 130
"""Characters a line when nobody's terminal says otherwise."""

_Result = TypeVar("_Result")


@dataclass
class Tour:
    """What the quickstart did, for the last page.

    Attributes:
        steps: (name, what came of it, seconds, whether it was reused) in order.
    """

    console: Console
    steps: list[tuple[str, str, float, bool]] = field(default_factory=list)

    def step(
        self, name: str, work: Callable[[], _Result], told: Callable[[_Result], str], reused: bool | None = None
    ) -> _Result:
        """Runs one step, times it, and says what came of it."""
        self.console.print(f"[bold]{len(self.steps) + 1}. {name}[/]")
        started = time.monotonic()
        result = work()
        seconds = time.monotonic() - started
        outcome = told(result)
        was_reused = bool(getattr(result, "reused", False) if reused is None else reused)
        self.steps.append((name, outcome, seconds, was_reused))
        self.console.print(f"   {outcome}  [dim]{seconds:.1f} s[/]")
        return result


def main() -> None:
    """Runs every step and prints one summary; ends with 0, or with 1 or 2 and one clear message."""
    calm_libraries()
    with reported(as_json=False):
        run(Console(soft_wrap=True) if sys.stdout.isatty() else Console(soft_wrap=True, width=_PAGE_WIDTH))


def run(console: Console) -> None:
    """The eight steps."""
    from pipelines.quickstart_page import page
    from pipelines.quickstart_results import write_results

    workspace = Workspace.named(WORKSPACE)
    tour = Tour(console)
    started = time.monotonic()
    _data(tour, workspace)
    training = _train(tour, workspace)
    report = _evaluate(tour, workspace, training)
    _promote(tour, workspace, training)
    batch = _batch(tour, workspace)
    service = _serve(tour, workspace)
    explained = tour.step(
        "Explain one user's recommendations",
        lambda: _explained(workspace),
        lambda found: f"user {found.user_id}, why each item",
    )
    seconds = time.monotonic() - started
    page(console, workspace, tour.steps, seconds, report, batch, service, explained)
    write_results(workspace.reports / "quickstart.json", CONFIG, tour.steps, seconds, report, service)


def _data(tour: Tour, workspace: Workspace) -> None:
    from recsys.data.movielens import movielens_100k
    from recsys.jobs.ingest import ingest
    from recsys.jobs.materialise import materialise

    tour.step(
        "Ingest events, users and items",
        lambda: ingest(workspace, movielens_100k()),
        lambda done: (
            (
                f"{done.appended:,} events appended"
                if done.appended
                else f"reused: all {done.read:,} events are in the log already"
            )
            + f"; {done.users:,} users, {done.items:,} items"
        ),
    )
    tour.step(
        "Fill the feature store",
        lambda: materialise(workspace),
        lambda done: (
            f"{'reused: ' if done.reused else ''}{done.users:,} users online, {done.offline_rows:,} rows of past "
            f"moments ({done.feature_service})"
        ),
    )


def _train(tour: Tour, workspace: Workspace) -> TrainResult:
    from recsys.cli.bars import Bars
    from recsys.jobs.train import train
    from recsys.training.config import load_config

    def work() -> TrainResult:
        with Bars(tour.console) as bars:
            return train(workspace, load_config(CONFIG), progress=bars, reuse_within=REUSE_WITHIN)

    def told(done: TrainResult) -> str:
        quality = f"validation NDCG@10 {done.metrics['validation']['ndcg@10']:.4f}"
        if done.reused:
            return (
                f"reused: version {done.model_version} ({quality}); {done.new_events} newer events reach its heads "
                "through their contexts, without training"
            )
        return f"version {done.model_version} registered, {quality}"

    return tour.step("Fit experts and generator", work, told)


def _evaluate(tour: Tour, workspace: Workspace, training: TrainResult) -> EvaluationReport:
    from recsys.jobs.evaluate import evaluate, kept_report

    kept = kept_report(workspace, "test", training.model_version, training.content_hash)
    return tour.step(
        "Evaluate beside the baselines",
        lambda: kept or evaluate(workspace, split="test", version=training.model_version),
        lambda found: (
            f"{'reused: ' if kept else ''}NDCG@10 {found.metrics['model']['ndcg@10']:.4f}; looks at this test split "
            f"before: {found.test_looks_before}"
        ),
        reused=kept is not None,
    )


def _promote(tour: Tour, workspace: Workspace, training: TrainResult) -> None:
    from recsys.jobs.promote import promote
    from recsys.registry.champion import champion

    def work() -> str:
        if training.reused and champion(workspace).version == training.model_version:
            return f"reused: version {training.model_version} is the champion"
        move = promote(workspace, training.model_version, by="quickstart", why="quickstart", force=True)
        return f"version {move.version_to} is the champion of {workspace.registered_model}"

    tour.step("Set @champion in the registry", work, str, reused=training.reused)


def _batch(tour: Tour, workspace: Workspace) -> BatchResult:
    from recsys.cli.bars import Bars
    from recsys.jobs.batch import batch

    def work() -> BatchResult:
        with Bars(tour.console) as bars:
            stage = bars.stage("batch on Ray Data", 0)
            return batch(workspace, k=TOP_K, on_progress=stage.moved)

    return tour.step(
        f"Batch on Ray Data: top {TOP_K} for everybody",
        work,
        lambda done: (
            f"{done.rows:,} rows for {done.users:,} users in {done.partitions} partitions"
            + (f", {done.kept_partitions} of them reused" if done.kept_partitions else "")
        ),
    )


def _serve(tour: Tour, workspace: Workspace) -> ServiceTour:
    from pipelines.quickstart_service import visit

    return tour.step(
        "Serve over HTTP, and stop",
        lambda: visit(workspace, USER),
        lambda seen: f"answered in {', '.join(f'{ms:.0f}' for ms in seen.milliseconds)} ms; {seen.summary()}",
    )


def _explained(workspace: Workspace) -> Explanations:
    from recsys.jobs.explain import explain

    return explain(workspace, USER, k=10)


if __name__ == "__main__":
    main()
