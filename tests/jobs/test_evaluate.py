"""Evaluation repeats training's figures, writes down each look at test, and stays on the events of the model."""

import json

import pytest
import typer
from typer.testing import CliRunner

from recsys.cli import evaluate as command
from recsys.errors import ConfigError, DataError
from recsys.evaluation.ledger import ledger_file
from recsys.jobs.evaluate import evaluate, kept_report, report_paths
from recsys.jobs.ingest import ingest
from recsys.workspace import Workspace

pytestmark = pytest.mark.slow


def test_validation_gives_what_training_measured_beside_tuned_baselines(films, trained_films):
    report = evaluate(films)
    assert (report.split, report.model_version, report.users, report.items) == ("validation", "1", 40, 25)
    trained = trained_films[1].metrics
    for scorer, name in (("model", "validation"), ("shared blend", "validation_shared_blend")):
        again = {metric: report.metrics[scorer][metric] for metric in trained[name]}
        assert again == pytest.approx(trained[name])
    tried = report.tuned["EASE ridges tried (NDCG@10)"]
    assert report.metrics["EASE"]["ndcg@10"] == pytest.approx(tried[str(report.tuned["EASE ridge"])])
    assert not ledger_file(films).exists(), "validation may be looked at freely"
    as_json, as_markdown = report_paths(films, report)
    assert json.loads(as_json.read_text())["metrics"]["validation"] == report.metrics["model"]
    assert as_markdown.read_text().startswith("# films: version 1 on the validation split")


def test_the_report_is_filed_with_the_run_of_the_version(films, trained_films):
    from recsys.registry.client import registry

    report = evaluate(films)
    with registry(films) as client:
        run = client.get_run(trained_films[1].run_id)
        filed = {file.path for file in client.list_artifacts(run.info.run_id, "evaluation")}
        plots = {file.path for file in client.list_artifacts(run.info.run_id, "evaluation/validation-v1")}
    assert filed == {f"evaluation/validation-v1{end}" for end in (".json", ".md", "")}
    assert plots == {f"evaluation/validation-v1/{stem}.png" for stem in ("scorers", "history", "reliability")}
    assert run.info.status == "FINISHED"
    for scorer, name in (("model", "model"), ("EASE", "EASE"), ("expert: memory", "expert_memory")):
        logged = run.data.metrics[f"evaluation.validation.{name}.ndcg_at_10"]
        assert logged == pytest.approx(report.metrics[scorer]["ndcg@10"])
    trained = trained_films[1].metrics["validation"]["ndcg@10"]
    assert run.data.metrics["validation.ndcg_at_10"] == pytest.approx(trained), "what promotion compares stays"


def test_each_look_at_test_is_written_down_and_counted(films):
    first, second = evaluate(films, split="test"), evaluate(films, split="test")
    assert (first.test_looks_before, second.test_looks_before) == (0, 1)
    assert first.metrics == second.metrics
    looks = [json.loads(line) for line in ledger_file(films).read_text().splitlines()]
    assert len(looks) == 2
    assert looks[0]["workspace"] == "films"
    assert looks[0]["metrics"]["model"] == first.metrics["model"]
    assert looks[0]["config"]["training"]["body"]["width"] == 8
    assert {"at", "commit", "content_hash", "model_version"} <= looks[0].keys()


def test_a_report_is_kept_for_the_same_model_on_the_same_split_only(films):
    report = evaluate(films)
    assert kept_report(films, "validation", "1", report.content_hash) == report
    assert kept_report(films, "test", "1", report.content_hash) is None
    assert kept_report(films, "validation", "2", report.content_hash) is None
    assert kept_report(films, "validation", "1", "another") is None
    for damaged in ("", "{", "[]", "{}"):
        report_paths(films, report)[0].write_text(damaged)
        assert kept_report(films, "validation", "1", report.content_hash) is None


def test_later_events_move_no_target(films, imported_data):
    before = evaluate(films)
    later = [(f"u{user:02d}", item, 100 + n) for user in range(40) for n, item in enumerate(["i05", "new-item"])]
    ingest(films, imported_data(extra=later))
    after = evaluate(films)
    assert after.items == before.items
    assert after.metrics == before.metrics


def test_a_log_that_lost_the_models_events_is_refused(films, imported_data):
    for part in films.event_log.parent.iterdir():
        part.unlink()
    ingest(films, imported_data(users=39, extra=[("u50", f"other{n}", n) for n in range(8)]))
    with pytest.raises(DataError, match="no longer holds the items"):
        evaluate(films)


@pytest.mark.parametrize(
    ("asked", "told"),
    [({"split": "train"}, "choose validation or test"), ({"version": "9"}, "There is no version '9'.*there are: 1")],
)
def test_what_does_not_exist_cannot_be_evaluated(films, asked, told):
    with pytest.raises(ConfigError, match=told):
        evaluate(films, **asked)


def test_a_workspace_without_a_model_says_how_to_get_one(imported_data, recsys_home):
    workspace = Workspace("untrained", recsys_home)
    ingest(workspace, imported_data())
    with pytest.raises(ConfigError, match="recsys train"):
        evaluate(workspace)


def test_the_commands_last_line_has_the_splits_metrics(films):
    app = typer.Typer()
    command.register(app)
    outcome = CliRunner().invoke(app, ["--workspace", "films", "--split", "test", "--version", "1", "--json"])
    assert outcome.exit_code == 0, outcome.output
    last = json.loads(outcome.stdout.splitlines()[-1])
    assert {"ndcg@10", "hr@10"} <= last["metrics"]["test"].keys()
    assert last["test_looks_before"] == 0
    assert last["comparison"].keys() >= {"EASE", "popularity", "shared blend", "model"}
    assert "Looks at this test split before this one: 0." in outcome.stderr
    assert "this model (version 1)" in outcome.stderr
