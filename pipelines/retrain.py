"""New events in, a better champion out: ingest → train → evaluate → promote, as one flow that is resumed when killed.

    .venv/bin/python -m pipelines.retrain --workspace my-shop --data ./export

A scheduler runs it; see docs/retraining.md. Each step's output lies in the workspace's `retraining/` under the hash of
its inputs, and is not made twice.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from pipelines.retrain_plan import FOLDER, Request, data_digest, planned
from pipelines.steps import Output, Steps
from recsys.cli._run import reported
from recsys.cli.environment import calm_libraries
from recsys.errors import ConfigError, SnapshotError
from recsys.workspace import Workspace

BY = "retrain"


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the flow; ends with 0 whether the new version was promoted or refused, else with one clear message."""
    calm_libraries()
    asked = _arguments(arguments)
    with reported(as_json=asked.json) as report:
        request = Request(
            workspace=Workspace.named(asked.workspace),
            data=asked.data,
            config=asked.config,
            overrides=tuple(asked.set),
            cold=asked.cold,
        )
        report.result(retrain(request, Console(soft_wrap=True, stderr=asked.json)))


def retrain(request: Request, console: Console) -> dict[str, Output]:
    """Runs what is not done yet, and tells each step's output.

    Args:
        request: what is asked for.
        console: told each step as it ends.

    Returns:
        Each step's output by its name.

    Raises:
        ConfigError: no such workspace, folder or configuration.
        DataError: the data cannot be used.
        TrainingError: a fit went wrong.
        RegistryError: another run is under way, or the registry failed. A refusal by the policy is an output.
    """
    from recsys.registry.locks import exclusive
    from recsys.training.config import load_config

    workspace = request.workspace
    if request.data is None:
        workspace = Workspace.existing(workspace.name)
    config = load_config(request.config, request.overrides)
    folder = workspace.root / FOLDER
    outputs: dict[str, Output] = {}

    def told(name: str, output: Output, known: bool) -> None:
        outputs[name] = output
        console.print(f"[bold]{name}[/]{' (done before)' if known else ''}: {escape(output['said'])}")

    with exclusive(folder / "lock", "retraining"):
        steps = Steps(folder, told)
        if request.data is not None:
            data = request.data
            steps.step("ingest", {"data": data_digest(data)}, lambda _: _ingest(workspace, data))
        with planned(request, config.model_dump(mode="json")) as plan:
            trained = steps.step("train", plan, lambda key: _train(request, plan, key))
            named = {name: trained[name] for name in ("model_version", "content_hash")}
            evaluated = steps.step("evaluate", named, lambda _: _evaluate(workspace, **named))
            steps.step("promote", {**named, "report": evaluated["report"]}, lambda _: _promote(workspace, **named))
    return outputs


def _ingest(workspace: Workspace, data: Path) -> Output:
    from recsys.jobs.ingest import ingest_folder

    done = ingest_folder(workspace, data)
    said = f"{done.appended:,} of {done.read:,} events were new; the log holds {done.position:,}"
    return {"position": done.position, "said": said}


def _train(request: Request, plan: Mapping[str, Any], key: str) -> Output:
    from recsys.jobs.train import train
    from recsys.training.config import TrainConfig
    from recsys.training.warm_start import warmed

    made = _made_before(request.workspace, key)
    if made is not None:
        return made
    config, begin_from, note = TrainConfig.model_validate(plan["config"]), plan["begin_from"], ""
    if begin_from is not None:
        try:
            done = train(request.workspace, warmed(config), upto=plan["position"], begin_from=begin_from, key=key)
            return _trained(done.model_version, done.content_hash, f", begun from version {begin_from}")
        except (ConfigError, SnapshotError) as error:
            note = f", begun from nothing ({error})"
    done = train(request.workspace, config, upto=plan["position"], key=key)
    return _trained(done.model_version, done.content_hash, note)


def _made_before(workspace: Workspace, key: str) -> Output | None:
    """The version that a run registered before it was killed, if it came so far."""
    from recsys.registry.client import exists, registry
    from recsys.registry.versions import made_under, read_version

    if not exists(workspace):
        return None
    with registry(workspace) as client:
        version = made_under(client, workspace, key)
        if version is None:
            return None
        return _trained(version, read_version(client, workspace, version).content_hash, ", before this run was resumed")


def _trained(version: str, content_hash: str, note: str) -> Output:
    return {"model_version": version, "content_hash": content_hash, "said": f"version {version} registered{note}"}


def _evaluate(workspace: Workspace, model_version: str, content_hash: str) -> Output:
    from recsys.jobs.evaluate import evaluate, kept_report, report_paths

    report = kept_report(workspace, "validation", model_version, content_hash)
    report = report or evaluate(workspace, split="validation", version=model_version)
    own = report.metrics["model"]
    as_json, _ = report_paths(workspace, report)
    said = f"validation NDCG@10 {own['ndcg@10']:.4f}, HR@10 {own['hr@10']:.4f} of {report.users:,} users"
    return {"report": str(as_json.relative_to(workspace.home)), "ndcg@10": own["ndcg@10"], "said": said}


def _promote(workspace: Workspace, model_version: str, content_hash: str) -> Output:
    from recsys.jobs.promote import PromotionRefusedError, promote

    try:
        move = promote(workspace, model_version, by=BY, why="retraining")
    except PromotionRefusedError as error:
        return {"promoted": False, "content_hash": content_hash, "said": str(error)}
    return {"promoted": True, "content_hash": content_hash, "said": f"version {move.version_to} is the champion"}


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="pipelines.retrain", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--workspace", required=True)
    parser.add_argument("--data", type=Path, help="a folder of new events; without: what the log holds")
    parser.add_argument("--config", default="default", help="a named configuration, or a .toml file of yours")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override one setting")
    parser.add_argument("--cold", action="store_true", help="begin from nothing instead of from the champion")
    parser.add_argument("--json", action="store_true", help="print the outputs as one JSON object")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
