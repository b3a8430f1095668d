"""The parts of a page hold together, whatever people call their columns and categories."""

from recsys.evaluation.markdown_parts import picture, share, table, with_interval


def test_a_table_has_a_rule_and_aligns_figures_right():
    assert table(["a", "b"], [["x", "1"]]) == ["| a | b |", "| --- | ---: |", "| x | 1 |"]


def test_names_cannot_break_a_table():
    assert table(["a"], [["x|y\nz"]])[2] == "| x&#124;y z |"


def test_what_is_missing_is_a_dash_or_nothing():
    assert (share(None), share(0.1234)) == ("–", "12.3%")
    assert with_interval({"difference": -0.5, "low": None, "high": None}) == ["-0.5000", ""]
    assert picture({}, "scorers", "told") == []
    assert picture({"scorers": "x/scorers.png"}, "scorers", "told")[1] == "![told](x/scorers.png)"
