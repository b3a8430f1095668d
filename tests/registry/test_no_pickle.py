"""Nothing on the way from a snapshot folder to a model that answers unpickles: neither in the sources nor running."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import recsys

PACKAGE = Path(recsys.__file__).parent
FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
FORBIDDEN_CALLS = {"torch.load", "torch.save", "torch.jit.load", "numpy.load", "np.load", "pandas.read_pickle"}
SCORING = ("registry", "serving", "ranking", "model", "experts", "context", "metrics")


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def _offences(path: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names if alias.name.split(".")[0] in FORBIDDEN_MODULES]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in FORBIDDEN_MODULES:
            names = [str(node.module)]
        elif isinstance(node, ast.Call) and _dotted(node.func) in FORBIDDEN_CALLS:
            names = [_dotted(node.func)]
        found += [f"{path.relative_to(PACKAGE)}:{node.lineno} {name}" for name in names]
    return found


def test_no_module_that_scores_can_unpickle():
    sources = [path for name in SCORING for path in (PACKAGE / name).rglob("*.py")]
    assert len(sources) > 50
    assert [offence for path in sources for offence in _offences(path)] == []


@pytest.mark.parametrize("source", ["import pickle", "from joblib import load", "import torch\ntorch.load('x')"])
def test_the_search_finds_what_it_looks_for(tmp_path, monkeypatch, source):
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path)
    (tmp_path / "module.py").write_text(source)
    assert _offences(tmp_path / "module.py")


LOADING = """
import pickle, sys
from pathlib import Path
import torch
from recsys.registry.loading import load_recommender
from recsys.registry.snapshot import load_snapshot
from recsys.context.batch import FeatureRow

def refuse(*arguments, **named):
    raise AssertionError("something was unpickled")

def watch(event, arguments):
    if event == "pickle.find_class":
        raise AssertionError(f"unpickled {arguments}")

pickle.load = pickle.loads = pickle.Unpickler = pickle._Unpickler = torch.load = refuse
sys.addaudithook(watch)
{body}
print("done")
"""
BODY = """
recommender = load_recommender(load_snapshot(Path(sys.argv[1])), "1")
assert recommender.recommend([FeatureRow(user_id=None)], k=1)[0].item_ids
"""


def _run(body: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", LOADING.replace("{body}", body), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_a_model_is_loaded_and_answers_where_unpickling_is_forbidden(trained_snapshot):
    done = _run(BODY, str(trained_snapshot))
    assert done.stdout.endswith("done\n"), done.stderr[-2000:]


@pytest.mark.slow
def test_where_unpickling_is_forbidden_it_is_noticed():
    done = _run("import _pickle; _pickle.loads(b'cbuiltins\\nprint\\n.')")
    assert "unpickled" in done.stderr
