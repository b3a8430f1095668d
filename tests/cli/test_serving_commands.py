"""serve, batch and explain: mistakes end with code 2 and a sentence, never a traceback."""

import socket

import pytest
from typer.testing import CliRunner

from recsys.cli.app import build_app
from recsys.data.catalogue import Catalogue
from recsys.data.schema import WorkspaceSchema
from recsys.workspace import Workspace


@pytest.fixture
def run():
    def invoke(*arguments):
        return CliRunner().invoke(build_app(), list(arguments))

    return invoke


@pytest.fixture
def empty():
    made = Workspace.named("films")
    schema = WorkspaceSchema(name="films")
    Catalogue.empty(schema).save(made)
    schema.save(made.schema_file)
    return made


@pytest.mark.parametrize("command", ["serve", "batch", "explain"])
def test_help_has_an_example(run, command):
    shown = run(command, "--help")
    assert shown.exit_code == 0
    assert f"Example: recsys {command} --workspace" in " ".join(shown.output.split())


@pytest.mark.parametrize("arguments", [["serve"], ["batch"], ["explain", "--user", "u1"]])
def test_a_workspace_that_is_not_there_is_the_users_mistake(run, arguments):
    done = run(*arguments, "--workspace", "nowhere")
    assert done.exit_code == 2
    assert "recsys data import" in done.output
    assert "Traceback" not in done.output


def test_serving_to_the_world_needs_the_flag(run, empty):
    done = run("serve", "--workspace", "films", "--host", "0.0.0.0")
    assert done.exit_code == 2
    assert "recsys keys create" in done.output
    assert "--without-auth" in done.output


def test_a_name_that_is_none_is_told_before_anything_is_loaded(run, empty):
    done = run("serve", "--workspace", "films", "--allowed-host", "http://shop.lan")
    assert done.exit_code == 2
    assert "shop.lan" in done.output


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--ray", "--drain-notice", "5"], "--drain-notice is not for --ray"),
        (["--min-workers", "2"], "--min-workers is for --ray"),
        (["--ray", "--min-workers", "4", "--workers", "2"], "At least 4 replicas and at most 2"),
    ],
)
def test_options_that_would_change_nothing_are_refused(run, empty, options, says):
    done = run("serve", "--workspace", "films", *options)
    assert done.exit_code == 2
    assert says in " ".join(done.output.split())


def test_a_taken_port_is_said_and_another_one_proposed(run, empty):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = run("serve", "--workspace", "films", "--port", str(port))
    assert done.exit_code == 2
    assert f"Port {port}" in done.output
    assert "--port" in done.output


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--k", "0"], "at least one item"),
        (["--as-of", "yesterday"], "is no moment"),
        (["--as-of", "0001-01-01T00:00:00+23:00"], "is no moment"),
    ],
)
def test_batch_options_that_make_no_sense_are_told(run, empty, arguments, says):
    done = run("batch", "--workspace", "films", *arguments)
    assert done.exit_code == 2
    assert says in done.output


@pytest.mark.parametrize("arguments", [["batch"], ["explain", "--user", "u1"]])
def test_without_a_model_the_next_command_is_named(run, empty, arguments):
    done = run(*arguments, "--workspace", "films")
    assert done.exit_code == 2
    assert "recsys train --workspace films" in " ".join(done.output.split())
