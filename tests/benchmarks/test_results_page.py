"""The page of results shows what the committed results say, and nothing else."""

import json

import pytest

from benchmarks import results_page
from benchmarks.pages import TABLE, refreshed
from benchmarks.units.claims import SHARED, fed_others, head


def test_every_table_of_the_page_is_what_the_committed_results_say():
    page = results_page.PAGE.read_text()
    assert refreshed(page, results_page.TABLES) == page, "run: python -m benchmarks.results_page"
    named = {found["name"] for found in TABLE.finditer(page)}
    assert named == set(results_page.TABLES)


@pytest.fixture
def results(tmp_path, monkeypatch):
    """Results of one data set in which the head beats the blend on log-loss only."""
    own = {"a": head("gains"), "b": SHARED, "by_seed": [0.1], "mean_a": 1.0, "mean_b": 1.0, "seeds": 1, "users": 9}
    compared = [
        {**own, "metric": "ndcg@10", "difference": 0.001, "low": -0.002, "high": 0.003},
        {**own, "metric": "log_loss", "difference": -0.02, "low": -0.03, "high": -0.01},
        {**own, "b": fed_others(head("gains")), "metric": "log_loss", "difference": -0.5, "low": -0.6, "high": -0.4},
    ]
    scorers = [
        {"name": name, "metrics": {"ndcg@10": value, "hr@10": 2 * value}}
        for name, value in (("EASE", 0.05), ("popularity", 0.01), ("expert: body", 0.06), (SHARED, 0.07))
    ]
    scorers.append({"name": head("gains"), "metrics": {"ndcg@10": 0.08, "hr@10": 0.16}})
    folder = tmp_path / "toys" / "test"
    folder.mkdir(parents=True)
    parts = {"summary": {"scorers": scorers, "heads": compared}, "heads": {"config": {"head": {"kind": "gains"}}}}
    for unit, figures in parts.items():
        (folder / f"{unit}.json").write_text(json.dumps({"figures": figures}))
    monkeypatch.setattr(results_page, "RESULTS", tmp_path)


def test_the_overview_names_the_best_of_others_and_of_the_experts(results):
    lines = results_page.overview()
    assert len(lines) == 3, "data without results have no line"
    cells = [cell.strip() for cell in lines[2].split("|")[1:-2]]
    assert cells == ["Amazon Toys", ".0500/.1000 EASE", ".0600/.1200 body", ".0700/.1400", ".0800/.1600", "gains"]


def test_only_intervals_that_exclude_zero_are_bold(results):
    _, _, quality, loss = results_page.heads("test")
    assert "| +0.0010 [-0.0020, +0.0030] | – |" in quality
    assert "| **-0.020 [-0.030, -0.010]** | **-0.500 [-0.600, -0.400]** | – |" in loss


def test_a_page_that_asks_for_an_unknown_table_is_refused():
    with pytest.raises(KeyError, match="nothing"):
        refreshed("<!-- table: nothing -->\n<!-- end -->", results_page.TABLES)
