"""A report says the same as JSON and as Markdown, the model last, and nothing of another split."""

import json

import pytest

from recsys.evaluation.report import SHOWN, EvaluationReport


def report(split="validation") -> EvaluationReport:
    names = ("model", "shared blend", "expert: body", "expert: memory", "popularity", "EASE")
    metrics = {name: dict.fromkeys((*SHOWN, "hr@5"), n / 10) for n, name in enumerate(names, start=1)}
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
    page = report("test").markdown()
    assert page.startswith("# films: version 3 on the test split\n")
    assert "5,678 items for 1,234 users" in page
    assert "Looks at this test split before this report: 2." in page
    assert "| model | " + " | ".join(["0.1000"] * len(SHOWN)) + " |" in page
    assert page.count("\n| ") == 2 + 6


def test_both_forms_are_saved_under_split_and_version(tmp_path):
    as_json, as_markdown = report().save(tmp_path / "reports")
    assert (as_json.name, as_markdown.name) == ("validation-v3.json", "validation-v3.md")
    assert json.loads(as_json.read_text()) == report().as_dict()
    assert as_markdown.read_text() == report().markdown()
