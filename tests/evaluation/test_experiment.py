"""An experiment gets a verdict where its users suffice, else how many it takes; arms that do not fit are refused."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from recsys.evaluation.experiment import UnbalancedSplitError, judge_experiment
from recsys.events.impressions import IMPRESSION_SCHEMA

OUTCOMES = {**IMPRESSION_SCHEMA, "rank": pl.Int64(), "named": pl.Boolean()}


def experiment(users, rates, *, share=0.5, each=3, seed=0, visitors=0, rank=1):
    """Impressions of users, `share` of whom have the challenger; `rates` are what each arm's lists are taken of."""
    rng = np.random.default_rng(seed)
    challenged = int(users * share)
    rows = []
    for n in range(users):
        arm = "challenger" if n < challenged else "champion"
        for m in range(each):
            taken = rng.random() < rates[arm == "challenger"]
            rows.append(
                {
                    "request_id": f"r{n}-{m}",
                    "shown_at": n,
                    "user_id": None if n >= users - visitors else f"u{n}",
                    "model_version": "2" if arm == "challenger" else "1",
                    "arm": arm,
                    "champion_version": "1",
                    "challenger_version": "2",
                    "propensity": share,
                    "item_ids": ["a"],
                    "surface": None,
                    "degraded": None,
                    "rank": rank if taken else None,
                    "named": taken or None,
                }
            )
    return pl.DataFrame(rows, schema=OUTCOMES)


def test_a_clear_difference_is_found_in_every_figure():
    report = judge_experiment(experiment(1_000, (0.1, 0.3), rank=2), share=0.5)
    assert report.verdict == "better"
    for metric in report.metrics:
        assert metric.verdict == "better"
        assert metric.low > 0
        assert metric.p_value <= 0.05
    named = {metric.metric: metric for metric in report.metrics}
    assert named["click_through"].champion == pytest.approx(0.1, abs=0.02)
    assert named["reciprocal_rank"].challenger == pytest.approx(named["click_through"].challenger / 2)


def test_a_worse_challenger_is_called_worse():
    assert judge_experiment(experiment(1_000, (0.3, 0.1)), share=0.5).verdict == "worse"


def test_equal_arms_of_many_users_do_not_differ():
    report = judge_experiment(experiment(8_000, (0.5, 0.5)), share=0.5)
    assert report.verdict == "no_difference"


def test_equal_arms_of_some_users_are_too_little_data_and_it_says_how_many_it_takes():
    report = judge_experiment(experiment(400, (0.1, 0.1)), share=0.5)
    assert report.verdict == "too_little_data"
    assert report.users_needed > 4_000
    easier = judge_experiment(experiment(400, (0.1, 0.1)), share=0.5, detect=0.5)
    assert easier.users_needed == pytest.approx(report.users_needed / 25, rel=0.01)


def test_few_users_are_no_evidence_however_clear_they_look():
    report = judge_experiment(experiment(40, (0.0, 1.0)), share=0.5)
    assert report.verdict == "too_little_data"
    assert {metric.verdict for metric in report.metrics} == {"too_little_data"}


def test_an_arm_in_which_few_could_take_anything_is_no_evidence():
    """Of equal arms the small one has none by chance more often than once in ten times."""
    shown = experiment(1_500, (0.03, 0.0), share=0.1, each=1)
    assert shown["rank"].count() >= 20
    assert judge_experiment(shown, share=0.1).verdict == "too_little_data"


def test_many_lists_taken_by_few_users_are_no_evidence():
    shown = experiment(400, (0.0, 0.0), each=30)
    takers = shown.with_columns(
        rank=pl.when(pl.col("user_id").is_in([f"u{n}" for n in range(8)])).then(1).cast(pl.Int64)
    )
    assert judge_experiment(takers, share=0.5).verdict == "too_little_data"


def test_a_challenger_that_nobody_takes_from_is_worse_where_many_would():
    assert judge_experiment(experiment(2_000, (0.1, 0.0), share=0.1), share=0.1).verdict == "worse"


def test_a_difference_that_may_be_larger_than_what_matters_is_not_ruled_out():
    """An interval narrow enough, and beyond what matters on one side."""
    report = judge_experiment(experiment(2_500, (0.5, 0.52), seed=4), share=0.5, detect=0.06)
    click = report.metrics[0]
    assert click.low < 0 < 0.06 * click.champion < click.high
    assert (click.high - click.low) / 2 < 0.06 * click.champion
    assert click.verdict == "too_little_data"


def test_without_any_outcome_there_is_no_verdict_and_no_number():
    report = judge_experiment(experiment(1_000, (0.0, 0.0)), share=0.5)
    assert (report.verdict, report.users_needed) == ("too_little_data", None)


def test_an_arm_without_users_is_too_little_data():
    report = judge_experiment(experiment(3, (0.5, 0.5), share=0.01), share=0.01)
    assert (report.verdict, report.metrics) == ("too_little_data", ())


def test_a_split_that_did_not_balance_is_refused_with_its_numbers():
    with pytest.raises(UnbalancedSplitError, match=r"700 of 1,000 users had the challenger, 500 were expected"):
        judge_experiment(experiment(1_000, (0.1, 0.9), share=0.7), share=0.5)


def test_each_of_a_visitors_requests_counts_as_a_user_and_is_told():
    report = judge_experiment(experiment(200, (0.2, 0.2), visitors=10), share=0.5)
    champion, challenger = report.arms
    assert (champion.users, champion.visitors) == (90 + 30, 30)
    assert (challenger.users, challenger.visitors) == (100, 0)
    assert (champion.impressions, challenger.impressions) == (300, 300)


def test_replies_that_the_champion_made_in_the_challengers_place_stay_in_its_arm():
    shown = experiment(400, (0.2, 0.2))
    failed = shown.with_columns(model_version=pl.lit("1"))
    assert [arm.substituted for arm in judge_experiment(failed, share=0.5).arms] == [0, 600]
    assert [arm.substituted for arm in judge_experiment(shown, share=0.5).arms] == [0, 0]


def test_users_are_the_sample():
    """The same users with the same behaviour ten times over: the interval stays as wide."""
    shown = experiment(600, (0.2, 0.25))
    often = pl.concat([shown] * 10)
    one, ten = (judge_experiment(frame, share=0.5).metrics[0] for frame in (shown, often))
    assert ten.high - ten.low == pytest.approx(one.high - one.low)
