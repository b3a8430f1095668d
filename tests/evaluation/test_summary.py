"""The terminal's lines say what the sections hold, and nothing where there are none."""

from recsys.evaluation.summary import summary


def test_each_finding_has_its_line():
    pair = {"against": "shared blend", "difference": 0.01234, "low": 0.001, "high": 0.02}
    stranger = {"of": "control: another user's head", "against": "model", "difference": -0.5, "low": None, "high": None}
    mean = stranger | {"of": "control: head of the mean context"}
    judged = {"ece_over_base_rate": 0.081, "ece_of_chance_over_base_rate": 0.06, "brier_skill": 0.123}
    sections = {
        "comparisons": {"paired": [{"figure": "NDCG@10", "of": "model", **pair}]},
        "personalisation": {"paired": [{"figure": "log-loss", **own} for own in (stranger, mean)]},
        "calibration": {
            "item": judged,
            "list": judged | {"ece_over_base_rate": None},
            "meaning": {"item": "P(item is next)", "list": "P(target in the top-10)"},
        },
    }
    assert summary(sections) == [
        "NDCG@10, model − shared blend: +0.0123 [+0.0010, +0.0200]",
        "log-loss, another user's head − own: -0.5000",
        "P(item is next): ECE 8% of the base rate (chance alone: 6%), Brier skill +12.3%",
    ]
    assert summary({}) == []
