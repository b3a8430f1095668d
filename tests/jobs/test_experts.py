"""Each expert can be listed, fitted and judged alone, and gets the figures it has inside a trained model."""

import json

import pytest
from typer.testing import CliRunner

from recsys.cli.app import build_app
from recsys.errors import ConfigError, DataError
from recsys.jobs.experts import evaluate_expert, list_experts
from recsys.jobs.ingest import ingest
from recsys.training.config import load_config
from recsys.workspace import HOME_VARIABLE, Workspace

QUICK = [
    *("--set", "memories.memory.ridges=[5.0, 5.0]"),
    *("--set", "memories.memory.windows=[3, 8]"),
    *("--set", "trend.half_life_days=1.0"),
]


@pytest.fixture(scope="module")
def home(tmp_path_factory, imported_data):
    """A home with a workspace of 40 users and 25 items without attributes; do not write to it."""
    folder = tmp_path_factory.mktemp("home")
    ingest(Workspace("films", folder), imported_data())
    return folder


@pytest.fixture
def films(home, monkeypatch):
    monkeypatch.setenv(HOME_VARIABLE, str(home))
    return Workspace("films", home)


def run(*arguments: str):
    return CliRunner().invoke(build_app(), ["experts", *arguments, "--workspace", "films", *QUICK])


def last_line(result) -> dict:
    return json.loads(result.stdout.strip().splitlines()[-1])


def test_the_list_says_what_there_is_and_why_the_rest_is_missing(films):
    entries = {entry.name: entry for entry in list_experts(films, load_config())}
    assert [name for name, entry in entries.items() if entry.missing is None] == [
        *("body", "memory", "short", "long", "long_term", "popularity")
    ]
    assert "attribute" in entries["content"].missing
    assert entries["repeat"].missing == "the configuration has none"
    assert "repeat" in entries["habit"].missing
    assert "repeat" in entries["novelty"].missing
    assert entries["trend"].missing == "the configuration has none"
    assert entries["memory"].settings["windows"] == [8, 40]
    assert "clock" not in entries["body"].settings, "the data decide it"


def test_it_lists_exactly_what_training_fits(films):
    from recsys.training.dataset import Dataset
    from recsys.training.experts import closed_form_fits

    dataset, config = Dataset.load(films), load_config(overrides=["long_term.max_items=24"])
    fits = closed_form_fits(dataset.sequences, dataset.attributes, config, clock=True, repeats=False)
    listed = [entry.name for entry in list_experts(films, config) if entry.missing is None]
    assert listed == ["body", *fits]
    assert "long_term" not in listed


def test_the_command_lists_them(films):
    result = run("list")
    assert result.exit_code == 0
    assert "not here: items do not repeat" in " ".join(result.output.split())
    assert {entry["name"] for entry in last_line(run("list", "--json"))["experts"]} >= {"memory", "trend"}


def test_the_command_judges_a_memory_alone(films):
    told = run("evaluate", "memory")
    assert told.exit_code == 0, told.output
    assert "NDCG@10" in told.output
    found = last_line(run("evaluate", "memory", "--json"))
    assert found["users"] == 40
    assert found["protocol"] == "leave-one-out"
    assert 0 < found["metrics"]["ndcg@10"] <= found["metrics"]["hr@10"] <= 1
    assert found["tensor_bytes"] == 2 * 26 * 25 * 4
    assert found["peak_bytes"] > found["tensor_bytes"]


def test_a_memory_of_few_weights_is_smaller(films):
    settings = ["memories.memory.top=3", "memories.memory.ridges=[5.0, 5.0]"]
    found = evaluate_expert(films, "memory", load_config(overrides=settings))
    assert found.tensor_bytes < 2 * 26 * 25 * 4
    assert found.metrics["ndcg@10"] > 0


@pytest.mark.parametrize("name", ["content", "repeat", "habit", "novelty", "nonsense"])
def test_an_expert_that_is_not_there_is_refused_with_those_that_are(films, name):
    with pytest.raises(ConfigError, match=rf"no expert '{name}'.*body, memory"):
        evaluate_expert(films, name, load_config())
    assert run("evaluate", name).exit_code == 2


def test_a_workspace_without_anybody_to_judge_by_is_refused(tmp_path, imported_data):
    workspace = Workspace("films", tmp_path)
    ingest(workspace, imported_data(events=2))
    with pytest.raises(DataError, match="nobody can be evaluated"):
        evaluate_expert(workspace, "popularity", load_config())


def test_an_expert_that_does_not_fit_into_memory_is_refused(films, monkeypatch):
    monkeypatch.setattr("recsys.training.memory_estimate.available_memory", lambda: 500_000_000)
    with pytest.raises(ConfigError, match="does not fit into memory: fitting memory takes"):
        evaluate_expert(films, "memory", load_config())
    assert evaluate_expert(films, "popularity", load_config()).users == 40


@pytest.mark.slow
def test_every_expert_alone_has_the_figures_that_training_reports_of_it(trained_films, quick_config):
    workspace, result = trained_films
    for name in ("memory", "short", "long_term", "popularity"):
        alone = evaluate_expert(workspace, name, quick_config()).metrics
        inside = result.metrics[f"validation_{name}"]
        assert alone["ndcg@10"] == pytest.approx(inside["ndcg@10"]), name
        assert alone["mrr"] == pytest.approx(inside["mrr"]), name


def test_the_body_is_fitted_by_its_own_trainer(films, monkeypatch, random_body_fit, quick_config):
    monkeypatch.setattr("recsys.jobs.experts.fit_body_expert", random_body_fit)
    found = evaluate_expert(films, "body", quick_config())
    assert found.kind == "body"
    assert found.metrics["hr@50"] == 1.0, "there are 25 items"


def test_a_search_prints_trials_and_a_section_that_training_takes(films, tmp_path):
    out = tmp_path / "memory.toml"
    result = run("search", "memory", "--budget", "3", "--out", str(out))
    assert result.exit_code == 0, result.output
    assert "as it was" in result.output
    chosen = load_config(str(out)).memories["memory"]
    found = last_line(run("search", "memory", "--budget", "3", "--json"))
    assert found["trials"][0]["setting"]["windows"] == [3, 8]
    assert found["users"] == 40
    assert found["toml"].startswith("[memories.memory]")
    assert len(chosen.decays) == 2
    values = [trial["ndcg@10"] for trial in found["trials"]]
    assert found["metrics"]["ndcg@10"] == pytest.approx(max(values))
    assert values[0] == pytest.approx(last_line(run("evaluate", "memory", "--json"))["metrics"]["ndcg@10"])


def test_a_search_without_time_judges_the_configured_setting_alone(films):
    found = last_line(run("search", "memory", "--budget", "0", "--json"))
    assert len(found["trials"]) == 1
    assert not found["finished"]


def test_only_memories_are_searched_for(films):
    result = run("search", "body", "--budget", "1")
    assert result.exit_code == 2
    assert "memory, short, long, not 'body'" in " ".join(result.output.split())


def test_at_most_two_thousand_users_judge_a_search(films, monkeypatch):
    monkeypatch.setattr("recsys.jobs.memory_search.JUDGED_USERS", 7)
    assert last_line(run("search", "memory", "--budget", "0", "--json"))["users"] == 7
