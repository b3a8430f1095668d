"""Which run is gone on with, and which is refused and why."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest
import torch
import typer
from typer.testing import CliRunner

from recsys.cli import train as command
from recsys.data.schema import WorkspaceSchema
from recsys.errors import ConfigError, DataError, RegistryError, TrainingError
from recsys.jobs import training_run
from recsys.jobs.archive import verify_archive
from recsys.jobs.backup import backup
from recsys.jobs.delete_users import delete_users
from recsys.jobs.train import resume, train
from recsys.jobs.training_run import TrainingRun, runs
from recsys.training.body_files import BodyFiles

pytestmark = pytest.mark.slow


@pytest.fixture
def interrupt(films, quick_config, monkeypatch):
    """Begins a run whose workers are lost once the body was given; gives its name."""

    def lost(sequences, attributes, config, progress, *, clock, start=None, kept=None):
        files = BodyFiles(kept)
        kept.mkdir(exist_ok=True)
        files.shards.mkdir()
        (files.shards / "shard-000-of-001.parquet").write_bytes(b"histories")
        files.give({"items": torch.zeros(3, 8)})
        raise TrainingError("A training worker failed: node lost.")

    def begin(*settings: str, **arguments) -> str:
        names: list[str] = []
        with monkeypatch.context() as patch:
            patch.setattr("recsys.training.stages.fit_body_expert", lost)
            with pytest.raises(TrainingError, match="node lost"):
                train(films, quick_config(*settings), on_run=names.append, **arguments)
        return names[0]

    return begin


@pytest.fixture
def interrupted(interrupt):
    return interrupt()


def test_a_run_goes_on_with_its_own_settings(films, interrupt, quick_body, quick_config):
    name = interrupt("seed=23", "generator.epochs=1")
    result = resume(films, name)
    assert result.model_version == "2"
    assert len(quick_body) == 1
    [run] = [run for run in runs(films) if run.name == name]
    assert run.plan.config == quick_config("seed=23", "generator.epochs=1").model_dump(mode="json")
    assert run.plan.version == "2"
    assert sorted(path.name for path in run.folder.iterdir()) == ["run.json", "run.lock"]


def test_events_that_came_since_wait(films, interrupted, quick_body, imported_data):
    from recsys.jobs.ingest import ingest

    ingest(films, imported_data(extra=[("u03", "i07", 50)]))
    resume(films, interrupted)
    assert len(quick_body[0].items) == 40 * (8 - 2 - 3)


def test_with_another_number_of_workers_that_is_what_is_registered(films, interrupted, quick_body):
    resume(films, interrupted, workers=1)
    assert runs(films)[0].plan.config["workers"] == 1


def test_an_unknown_run_is_told_beside_those_there_are(films, interrupted):
    with pytest.raises(ConfigError, match=f"no run 'elsewhere'.*{interrupted}"):
        resume(films, "elsewhere")
    with pytest.raises(ConfigError, match="no run '../films'"):
        resume(films, "../films")


def test_a_finished_run_is_told_with_its_version(films, interrupted, quick_body):
    resume(films, interrupted)
    with pytest.raises(ConfigError, match="is finished: it registered version 2 of 'films'"):
        resume(films, interrupted)
    with pytest.raises(ConfigError, match="can be gone on with: none"):
        resume(films, "elsewhere")


def test_other_data_end_a_run(films, interrupted):
    delete_users(films, ["u03"])
    with pytest.raises(DataError, match=f"the run '{interrupted}' trains on have changed.*Train anew"):
        resume(films, interrupted)


def test_a_deletion_leaves_no_history_in_a_run(films, interrupted):
    [run] = [run for run in runs(films) if run.name == interrupted]
    assert BodyFiles(run.body).shards.exists()
    delete_users(films, ["u03"])
    assert not BodyFiles(run.body).shards.exists()


def test_another_schema_ends_a_run(films, interrupted):
    replace(WorkspaceSchema.load(films.schema_file), repeats=True).save(films.schema_file)
    with pytest.raises(ConfigError, match="schema has changed since"):
        resume(films, interrupted)


def test_another_version_of_the_library_ends_a_run(films, interrupted, monkeypatch):
    monkeypatch.setattr(training_run, "code_hash", lambda: "other code")
    with pytest.raises(ConfigError, match="begun by another version of this library"):
        resume(films, interrupted)


def test_two_processes_cannot_be_at_one_run(films, interrupted, quick_body):
    [run] = [run for run in runs(films) if run.name == interrupted]
    with run.under_way(), pytest.raises(RegistryError, match=f"Another process at the run '{interrupted}'"):
        resume(films, interrupted)
    assert resume(films, interrupted).model_version == "2"


def test_who_comes_second_leaves_the_first_its_run(films, interrupted):
    [run] = [run for run in runs(films) if run.name == interrupted]
    with run.under_way():
        (run.body / "body.safetensors").unlink()
        with pytest.raises(RegistryError):
            resume(films, interrupted)
        assert (run.folder / "run.json").exists()


def test_a_flow_that_asks_for_something_else_under_its_key_begins_anew(films, interrupt, quick_config, quick_body):
    interrupt(key="nightly")
    assert (runs(films)[0].body / "body.safetensors").exists()
    train(films, quick_config("seed=99"), key="nightly")
    assert len(quick_body) == 1
    assert runs(films)[0].plan.config["seed"] == 99


def test_a_start_that_is_refused_costs_a_killed_run_nothing(films, interrupt, quick_config):
    interrupt(key="nightly")
    with pytest.raises(ConfigError, match="no version '99'"):
        train(films, quick_config(), key="nightly", begin_from="99")
    assert (runs(films)[0].body / "body.safetensors").exists()


def test_a_body_beside_a_plan_that_cannot_be_read_is_not_taken(films, interrupt):
    interrupt(key="nightly")
    begun = runs(films)[0]
    (begun.folder / "run.json").write_text('{"of": "another version of this library"}')
    with begun.under_way():
        assert not (begun.body / "body.safetensors").exists()


def test_going_on_with_an_old_run_does_not_forget_it(films, interrupt, monkeypatch):
    monkeypatch.setattr(training_run, "_REMEMBERED", 1)
    first = interrupt()
    interrupt("seed=2")
    old = TrainingRun.unfinished(films, first)
    with old.under_way():
        assert (old.body / "body.safetensors").exists()


def test_a_run_that_cannot_be_gone_on_with_now_can_be_later(films, interrupted):
    begun = TrainingRun.unfinished(films, interrupted)
    shutil.rmtree(begun.body)
    with pytest.raises(ConfigError), begun.under_way():
        raise ConfigError("workers is 64, and this machine has 2 CPUs: set it to 2 at most.")
    assert TrainingRun.unfinished(films, interrupted) == begun


def test_a_run_that_came_to_nothing_leaves_nothing(films, quick_config, monkeypatch):
    def lost(*_, **__):
        raise TrainingError("A training worker failed: node lost.")

    before = len(runs(films))
    monkeypatch.setattr("recsys.training.stages.fit_body_expert", lost)
    with pytest.raises(TrainingError):
        train(films, quick_config())
    assert len(runs(films)) == before


def test_the_oldest_runs_are_forgotten(films, quick_config, quick_body, interrupt, monkeypatch):
    monkeypatch.setattr(training_run, "_REMEMBERED", 1)
    first = interrupt()
    second = interrupt("seed=2")
    third = interrupt("seed=3")
    assert [run.name for run in runs(films)] == [third, second]
    assert not (films.training / first).exists()


def test_a_backup_holds_no_run(films, interrupted, tmp_path):
    backup(films, tmp_path / "films.backup")
    assert not [
        name for name in verify_archive(tmp_path / "films.backup").files if name.startswith("workspace/training/")
    ]


@pytest.fixture
def run():
    app = typer.Typer()
    command.register(app)
    return lambda *arguments: CliRunner().invoke(app, ["--workspace", "films", *arguments])


def test_the_command_tells_how_to_go_on_and_goes_on(run, films, interrupted, quick_body):
    outcome = run("--resume", interrupted)
    assert outcome.exit_code == 0, outcome.output
    assert "Registered version 2" in outcome.output
    begun = run("--set", "body.width=8", "--set", "generator.epochs=1")
    assert f"recsys train --workspace films --resume {runs(films)[0].name}" in begun.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--resume", "x", "--set", "seed=3"), "leave --config, --set and --budget out"),
        (("--resume", "x", "--config", "fast"), "leave --config, --set and --budget out"),
        (("--workers", "2"), "--workers is for --resume"),
    ],
)
def test_what_a_resumed_run_cannot_take_is_refused(run, films, arguments, message):
    outcome = run(*arguments)
    assert outcome.exit_code == 2
    assert message in outcome.output.replace("\n", " ")
