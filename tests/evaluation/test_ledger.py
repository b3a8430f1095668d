"""Each look at a test split is written down, workspace by workspace, and counted."""

import json

from recsys.evaluation.ledger import LEDGER_VARIABLE, ledger_file, looks_before, record_look
from recsys.workspace import Workspace


def test_looks_are_counted_workspace_by_workspace(recsys_home):
    films, toys = Workspace.named("films"), Workspace.named("toys")
    assert (looks_before(films), looks_before(toys)) == (0, 0)
    record_look(films, {"commit": "abc"})
    record_look(toys, {"commit": "abc"})
    record_look(films, {"commit": "def", "metrics": {"model": {"ndcg@10": 0.1}}})
    assert (looks_before(films), looks_before(toys)) == (2, 1)
    assert ledger_file(films) == recsys_home / "test-ledger.jsonl"
    lines = [json.loads(line) for line in ledger_file(films).read_text().splitlines()]
    assert [line["workspace"] for line in lines] == ["films", "toys", "films"]
    assert lines[2]["metrics"] == {"model": {"ndcg@10": 0.1}}


def test_the_ledger_can_lie_elsewhere(tmp_path, monkeypatch):
    films = Workspace.named("films")
    monkeypatch.setenv(LEDGER_VARIABLE, str(tmp_path / "deep" / "ledger.jsonl"))
    record_look(films, {})
    assert looks_before(films) == 1
    assert (tmp_path / "deep" / "ledger.jsonl").is_file()
    monkeypatch.delenv(LEDGER_VARIABLE)
    assert looks_before(films) == 0


def test_a_look_whose_writing_was_cut_short_still_counts_and_hides_no_other():
    films = Workspace.named("films")
    record_look(films, {})
    with ledger_file(films).open("a") as ledger:
        ledger.write('{"at": "2030-01-01", "comm')
    assert looks_before(films) == 2
    record_look(films, {})
    assert looks_before(films) == 3
    assert looks_before(Workspace.named("toys")) == 1
