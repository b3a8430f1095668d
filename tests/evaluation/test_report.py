"""A report says the same as JSON, as Markdown and in pictures, the model last, and nothing of another split."""

import json
from dataclasses import replace

import numpy as np
import pytest

from recsys.evaluation.calibrating import RULE, calibrates
from recsys.evaluation.markdown import ACCURACY, markdown
from recsys.evaluation.plots import draw_plots
from recsys.evaluation.protocol import Split
from recsys.evaluation.report import EvaluationReport
from recsys.evaluation.run import evaluate_in_full


def report(split="validation") -> EvaluationReport:
    names = ("model", "shared blend", "expert: body", "expert: memory", "popularity", "EASE")
    metrics = {name: dict.fromkeys(ACCURACY, n / 10) for n, name in enumerate(names, start=1)}
    return EvaluationReport(
        workspace="films",
        model_version="3",
        content_hash="f00",
        split=split,
        users=1234,
        items=5678,
        metrics=metrics,
        tuned={"EASE ridge": 100.0},
        test_looks_before=2,
        seconds=1.5,
        lineage={"code_commit": "abc"},
    )


@pytest.mark.parametrize("split", ["validation", "test"])
def test_the_models_own_figures_lie_under_its_split(split):
    plain = report(split).as_dict()
    assert set(plain["metrics"]) == {split}
    assert plain["metrics"][split]["ndcg@10"] == 0.1
    assert plain["metrics"][split]["hr@10"] == 0.1
    assert plain["comparison"]["EASE"]["ndcg@10"] == pytest.approx(0.6)
    assert plain["tuned_on_validation"] == {"EASE ridge": 100.0}
    assert plain["test_looks_before"] == 2
    assert plain["content_hash"] == "f00"
    assert json.loads(json.dumps(plain)) == plain


@pytest.fixture
def full(by_parity, parity_users) -> EvaluationReport:
    """A report with every section, of a model that is right for everybody."""
    rows, targets = parity_users(200)
    reader = type("Reader", (), {"as_of": lambda *_: rows})()
    split = Split("validation", tuple(row.user_id for row in rows), tuple(targets), (0,) * 200)
    baselines = {"spread": lambda context: np.pi * context.event_count[:, None].sin() * by_parity.score(rows[:1])}
    found = evaluate_in_full(by_parity, reader, split, baselines, training_counts=np.arange(30), calibrated_on=RULE)
    return replace(report(), metrics=found.metrics, sections=found.sections)


def test_a_report_is_read_back_from_its_plain_values():
    stored = json.loads(json.dumps(report("test").as_dict()))
    assert EvaluationReport.from_dict(stored) == report("test")
    del stored["users"]
    with pytest.raises(KeyError):
        EvaluationReport.from_dict(stored)


def test_rows_show_baselines_first_and_the_model_last():
    names = [name for name, _ in report().rows()]
    assert names == ["popularity", "EASE", "expert: body", "expert: memory", "shared blend", "model"]


def test_markdown_holds_every_shown_figure():
    page = markdown(report("test"))
    assert page.startswith("# films: version 3 on the test split\n")
    assert "5,678 items for 1,234 users" in page
    assert "Looks at this test split before this report: 2." in page
    assert "| model | " + " | ".join(["0.1000"] * len(ACCURACY)) + " |" in page
    assert page.count("\n| ") == 2 + 6


def test_both_forms_are_saved_under_split_and_version(tmp_path):
    as_json, as_markdown = report().save(tmp_path / "reports")
    assert (as_json.name, as_markdown.name) == ("validation-v3.json", "validation-v3.md")
    assert json.loads(as_json.read_text()) == report().as_dict()
    assert as_markdown.read_text() == markdown(report())
    assert not (tmp_path / "reports" / "validation-v3").exists(), "there is nothing to draw"


def test_every_section_survives_json(full):
    assert EvaluationReport.from_dict(json.loads(json.dumps(full.as_dict(), allow_nan=False))) == full
    assert set(full.sections) == {"comparisons", "groups", "calibration", "personalisation"}


@pytest.mark.slow
def test_the_page_has_every_section_and_shows_the_pictures_that_are_there(full, tmp_path):
    _, as_markdown = full.save(tmp_path)
    page = as_markdown.read_text()
    for title in ("are ranked", "against the others", "is recommended", "For whom", "come true", "is personal"):
        assert page.count(f"{title}") >= 1, title
    assert "| its own head | 1.0000 |  |" in page
    helped = int(calibrates([f"u{user}" for user in range(200)]).sum())
    assert f"The {helped} evaluated users on whose validation targets it was fitted are left out." in page
    for stem in ("scorers", "history", "reliability"):
        assert f"](validation-v3/{stem}.png)" in page
        assert (tmp_path / "validation-v3" / f"{stem}.png").stat().st_size > 5_000
    assert "](" not in markdown(full)


def test_a_page_says_so_where_nobody_knows_whom_calibration_was_fitted_on(full):
    calibration = full.sections["calibration"] | {"users_it_was_fitted_on_are_known": False}
    page = markdown(replace(full, sections={**full.sections, "calibration": calibration}))
    assert "does not say on whose events the calibration was fitted" in page


def test_controls_are_no_scorers(full):
    assert "control: another user's head" in full.metrics
    assert [name for name, _ in full.rows()] == [
        "spread",
        "expert: next",
        "expert: previous",
        "shared blend",
        "model",
    ]


def test_tables_are_whole(full):
    tables = [block for block in markdown(full).split("\n\n") if block.startswith("|")]
    assert len(tables) == 8
    for table in tables:
        assert len({line.count("|") for line in table.splitlines()}) == 1, table


@pytest.mark.slow
def test_pictures_can_be_drawn_of_one_user_and_of_no_hit(full, by_parity, parity_users, tmp_path):
    rows, _ = parity_users(1)
    reader = type("Reader", (), {"as_of": lambda *_: rows})()
    split = Split("validation", ("u0",), ("unheard-of",), (0,))
    found = evaluate_in_full(by_parity, reader, split, {}, training_counts=np.arange(30))
    lonely = replace(report(), metrics=found.metrics, sections=found.sections)
    assert len(draw_plots(lonely, tmp_path / "plots")) == 3
    assert "no target counts" in markdown(lonely)
    json.dumps(lonely.as_dict(), allow_nan=False)
