"""Each notebook is committed twice: to be opened (.ipynb, without outputs) and to be read and compared (.py)."""

from __future__ import annotations

from pathlib import Path

import jupytext
import pytest

FOLDER = Path(__file__).parents[2] / "notebooks"
NAMES = sorted({path.stem for path in FOLDER.iterdir() if path.suffix in (".ipynb", ".py")})
REMEDY = "bring both halves in step with: make notebooks"


def cells(path):
    return [(cell.cell_type, cell.source) for cell in jupytext.read(path).cells]


def test_there_are_notebooks():
    assert "01_quickstart" in NAMES


@pytest.mark.parametrize("name", NAMES)
def test_both_halves_hold_the_same_cells(name):
    assert cells(FOLDER / f"{name}.ipynb") == cells(FOLDER / f"{name}.py"), REMEDY


@pytest.mark.parametrize("name", NAMES)
def test_opening_a_notebook_keeps_its_halves_paired(name):
    for suffix in (".ipynb", ".py"):
        notebook = jupytext.read(FOLDER / f"{name}{suffix}")
        assert notebook.metadata["jupytext"]["formats"] == "ipynb,py:percent"


@pytest.mark.parametrize("name", NAMES)
def test_no_outputs_are_committed(name):
    code = [cell for cell in jupytext.read(FOLDER / f"{name}.ipynb").cells if cell.cell_type == "code"]
    assert code
    assert [cell.source for cell in code if cell.outputs or cell.execution_count is not None] == [], REMEDY
