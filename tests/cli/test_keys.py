"""recsys keys: a key is shown once, listed without itself, and taken back."""

import json

import pytest
from typer.testing import CliRunner

from recsys.cli.app import build_app
from recsys.data.schema import WorkspaceSchema
from recsys.serving.edge.key_ring import KeyRing
from recsys.workspace import Workspace


@pytest.fixture
def workspace():
    made = Workspace.named("films")
    WorkspaceSchema(name="films").save(made.schema_file)
    return made


@pytest.fixture
def run(workspace):
    def invoke(*arguments):
        return CliRunner().invoke(build_app(), ["keys", *arguments, "--workspace", "films"])

    return invoke


def machine(done):
    return json.loads(done.stdout.splitlines()[-1])


def test_a_key_is_made_listed_without_itself_and_revoked(run, workspace):
    made = run("create", "--name", "shop", "--scope", "read", "--scope", "write", "--rate", "100/s", "--json")
    token = machine(made)["key"]
    assert KeyRing(workspace.keys_file).holder(token).name == "shop"
    listed = run("list")
    assert all(part in listed.output for part in ("shop", "read, write", "100/s"))
    assert token.split("_", 2)[2] not in listed.output + run("list", "--json").output
    assert run("revoke", "shop").exit_code == 0
    assert machine(run("list", "--json"))["keys"] == []
    assert KeyRing(workspace.keys_file).holder(token) is None


def test_people_see_the_key_on_a_line_of_its_own(run, workspace):
    shown = run("create", "--name", "shop", "--scope", "read").output.splitlines()
    assert KeyRing(workspace.keys_file).holder(shown[-1]) is not None


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("create", "--name", "shop", "--scope", "all"), "read, write, admin"),
        (("create", "--name", "shop", "--scope", "read", "--rate", "fast"), "100/s"),
        (("revoke", "nobody"), "There is no key named 'nobody'"),
    ],
)
def test_mistakes_are_told_and_change_nothing(run, workspace, arguments, says):
    done = run(*arguments)
    assert done.exit_code == 2
    assert says in done.output
    assert not workspace.keys_file.exists()
