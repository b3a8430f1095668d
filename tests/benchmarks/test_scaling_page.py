"""The page about scaling shows what the committed results say, and works costs out from them alone."""

import json

import pytest

from benchmarks import scaling_page
from benchmarks.pages import TABLE, refresh, refreshed


def test_every_table_of_the_page_is_what_the_committed_results_say():
    page = scaling_page.PAGE.read_text()
    assert refreshed(page, scaling_page.TABLES) == page, "run: python -m benchmarks.scaling_page"
    assert {found["name"] for found in TABLE.finditer(page)} == set(scaling_page.TABLES)


@pytest.fixture
def results(tmp_path, monkeypatch):
    """Results of a batch for ten thousand users that takes 3.6 ms of a processor for each, and others beside it."""
    run = {
        "users": 10_000,
        "seconds": 500.0,
        "processor_seconds": 800.0,
        "processor_milliseconds_a_user": 3.6,
        "users_a_second": 20.0,
        "peak_gigabytes": 2.5,
        "model_bytes": 5_000_000,
        "log_bytes": 30_000_000,
        "offline_bytes": 20_000_000,
        "list_bytes": 10_000_000,
    }
    line = {"ours": {"whole": {"users_a_second": 300.0}}, "peer": {"users_a_second": 100.0}}
    judged = {"bar": 2.0, "line": "whole", "ratio": 3.0, "met": True}
    compared = line | {"ratios": {"whole": {"median": 3.0, "ndcg_loss": 0.0}}, "judged": judged}
    contents = {
        "growth": {"runs": [run], "events_each": 20, "items": 2_000, "machine": {"cores": 2}},
        "features": {"growth": {"figures": {"events_each": 10, "runs": [{"users_a_second": 2_000}]}}},
        "batch": {"RecBole": {"figures": compared}, "LensKit": {"figures": compared | {"threads": 2}}},
        "body": {
            "speed": {"figures": {"bars": [{"loss": "full", "peer": "X", "bar": 1.5, "ratio": 4.0, "met": True}]}}
        },
        "tables": {"bar": {"bar": 5.0, "ratio": 2.2, "met": False}},
        "workers": {"by_batch_events": {"1600": {"times": 1.2, "bar": 1.5, "met": False}, "6400": {"times": 1.6}}},
    }
    for name, content in contents.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    monkeypatch.setattr(scaling_page, "RESULTS", tmp_path)


def test_costs_go_straight_on_from_the_largest_run(results):
    rows = {line.split("|")[1].strip(): [cell.strip() for cell in line.split("|")[2:4]] for line in scaling_page.cost()}
    assert rows["a batch as above (20 events a user, 2,000 items), processor hours"] == ["1", "100"]
    [real] = [cells for name, cells in rows.items() if name.startswith("a batch like MovieLens-1M's")]
    assert real == ["1.9", "190"], "two processors for 300 users a second"
    [spread] = [cells for name, cells in rows.items() if "64 processors" in name]
    assert spread == ["0.036", "3.6"], "of which four in five work"
    assert rows["event log (20 events a user), GB"] == ["3", "300"]
    assert rows["lists of a batch, GB"] == ["1", "100"]
    assert rows["all rows made anew (10 events a user), hours of one folding process"] == ["0.14", "14"]


def test_costs_are_not_worked_out_from_few_users(results, monkeypatch):
    monkeypatch.setattr(scaling_page, "LINEAR_FROM", 20_000)
    with pytest.raises(SystemExit, match="20,000 users or more"):
        scaling_page.cost()


def test_the_line_that_counts_has_the_bar(results):
    assert scaling_page.batch()[2] == "| RecBole | whole | 300 · 100 | 3.00 | 0.0000 | 2 | met |"


def test_what_was_not_measured_has_no_row(results):
    assert len(scaling_page.jobs()) == 2
    assert [line.rsplit("|", 2)[1].strip() for line in scaling_page.training()[2:]] == ["met", "missed", "missed", ""]
    assert scaling_page.training()[-1] == "| two Ray workers, 6,400 events a step | one | 1.6 | – |  |"


def test_without_results_the_page_says_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(scaling_page, "RESULTS", tmp_path)
    with pytest.raises(SystemExit, match=r"growth\.json"):
        scaling_page.growth()


def test_a_page_is_checked_or_refreshed(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("Words.\n<!-- table: one -->\nold\n<!-- end -->\n")
    tables = {"one": lambda: ["new", "lines"]}
    assert refresh(page, tables, ["--check"]) == 1
    assert "old" in page.read_text(), "looking changes nothing"
    assert refresh(page, tables, []) == 0
    assert page.read_text() == "Words.\n<!-- table: one -->\nnew\nlines\n<!-- end -->\n"
    assert refresh(page, tables, ["--check"]) == 0
