"""An analyst opens the notebook after the quickstart and runs it from top to bottom."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from recsys.workspace import HOME_VARIABLE

pytestmark = pytest.mark.slow

FOLDER = Path(__file__).parents[2] / "notebooks"
FIGURES = 5


def executed(notebook):
    client = NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": FOLDER}})
    client.execute()
    return notebook


def read():
    return nbformat.read(FOLDER / "01_quickstart.ipynb", as_version=4)


def contents(workspace):
    """What lies in the workspace: databases by what they hold, every other file by its bytes.

    A database is never opened as a file here: closing it would drop every lock that this process holds on it (POSIX),
    and other processes would then delete a write-ahead log that is still in use.
    """
    found = {}
    for path in workspace.root.rglob("*"):
        if path.is_file() and path.suffix in (".db", ".sqlite"):
            with closing(sqlite3.connect(path)) as connection:
                found[path] = list(connection.iterdump())
        elif path.is_file() and not path.name.endswith(("-wal", "-shm")):
            found[path] = path.read_bytes()
    return found


@pytest.fixture(scope="module")
def run(trained):
    before = contents(trained)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(HOME_VARIABLE, str(trained.home))
        patch.setenv("RECSYS_WORKSPACE", trained.name)
        outputs = [out for cell in executed(read()).cells for out in cell.get("outputs", [])]
    return outputs, contents(trained) == before


@pytest.fixture
def texts(run):
    return "\n".join(out.data.get("text/markdown", "") for out in run[0] if "data" in out)


def test_it_shows_every_figure_and_no_noise(run):
    outputs, _ = run
    assert sum("image/png" in out.get("data", {}) for out in outputs) == FIGURES
    assert [out for out in outputs if out.output_type in ("stream", "error")] == []


def test_it_speaks_of_titles_and_measured_figures(texts, trained):
    assert f"**{trained.name}**: 80 users, 40 items" in texts
    assert "| newest in the history | recommended | score |" in texts
    assert "Film number" in texts
    assert "its strength" in texts
    assert "NDCG@10 **0." in texts


def test_it_answers_visitors_whose_titles_the_catalogue_lacks(texts):
    assert "| Anna likes | Ben likes | Anna gets | Ben gets |" in texts


def test_it_writes_nothing_to_the_workspace(run):
    assert run[1]


def test_without_a_champion_the_first_cell_says_what_to_run_and_nothing_else():
    notebook = read()
    with pytest.raises(CellExecutionError):
        executed(notebook)
    [first, *later] = [cell for cell in notebook.cells if cell.cell_type == "code"]
    [told] = first.outputs
    assert told.ename == "SystemExit"
    assert told.evalue.endswith("yet: run `make quickstart`, then this notebook again.")
    assert [cell.outputs for cell in later if cell.outputs] == []
