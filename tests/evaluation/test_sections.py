"""What the sections of a report say, on a model whose truth is known."""

import numpy as np
import pytest

from recsys.evaluation.calibrated import ITEM, LIST, calibration_section
from recsys.evaluation.calibrating import RULE, calibrates
from recsys.evaluation.comparisons import LOG_LOSS, NDCG, best_of, compared, comparison_section
from recsys.evaluation.full_ranking import MODEL, SHARED_BLEND
from recsys.evaluation.groups import HISTORY, OTHER, UNKNOWN, group_section, history_buckets, profile_groups
from recsys.evaluation.head_controls import OTHERS_HEAD
from recsys.evaluation.measurement import measure
from recsys.evaluation.personalisation import personalisation_section

USERS = 200


@pytest.fixture
def rows_and_measured(by_parity, parity_users):
    rows, targets = parity_users(USERS)
    return rows, measure(by_parity, rows, targets, {"first": lambda context: by_parity.score(rows[: len(context)])})


def test_the_model_is_compared_user_by_user(rows_and_measured):
    _, measured = rows_and_measured
    found = compared(measured, NDCG, MODEL, SHARED_BLEND)
    own, other = (measured.accuracy()[name]["ndcg@10"] for name in (MODEL, SHARED_BLEND))
    assert found["difference"] == pytest.approx(own - other)
    assert 0 < found["low"] < found["difference"] < found["high"]
    assert compared(measured, LOG_LOSS, MODEL, SHARED_BLEND)["high"] < 0
    assert compared(measured, NDCG, MODEL, MODEL)["difference"] == 0


def test_losses_leave_out_users_whose_target_cannot_be_recommended(by_parity, parity_users):
    rows, targets = parity_users(6)
    measured = measure(by_parity, rows, ["unheard-of", *targets[1:]], {})
    section = comparison_section(measured, None)
    assert (section["users"], section["users_with_log_loss"]) == (6, 5)
    assert np.isfinite(section["log_loss"][MODEL])
    assert [one["users"] for one in section["paired"]] == [6, 5]


def test_the_best_baseline_is_the_one_with_the_highest_ndcg(rows_and_measured):
    _, measured = rows_and_measured
    assert best_of(["first", SHARED_BLEND, MODEL], measured) == MODEL


def test_history_buckets_are_the_same_for_every_data_set():
    counts = np.array([0, 1, 2, 3, 10, 11, 50, 200, 201, 5_000])
    assert history_buckets(counts) == [
        "0", "1–2", "1–2", "3–5", "6–10", "11–20", "21–50", "101–200", "more than 200", "more than 200",
    ]  # fmt: skip


def test_small_profile_groups_are_counted_together():
    assert profile_groups(["a", "a", "b", None, "a"], smallest=3) == ["a", "a", OTHER, UNKNOWN, "a"]


def test_groups_add_up_to_everybody(rows_and_measured, by_parity):
    rows, measured = rows_and_measured
    found = group_section(measured, rows, by_parity.schema.user_columns, "first")
    assert [one["by"] for one in found] == [HISTORY, "gender"], "age is no category"
    overall = measured.accuracy()
    for one in found:
        users = np.array([group["users"] for group in one["groups"]])
        assert users.sum() == USERS
        for name in ("first", SHARED_BLEND, MODEL):
            mean = users @ [group["ndcg@10"][name] for group in one["groups"]] / USERS
            assert mean == pytest.approx(overall[name]["ndcg@10"])
    assert [group["group"] for group in found[0]["groups"]] == ["1–2", "3–5"]


def test_a_profile_column_without_a_group_of_its_own_is_left_out(rows_and_measured):
    rows, measured = rows_and_measured
    assert [one["by"] for one in group_section(measured, rows, {"town": "categorical"}, None)] == [HISTORY]


def test_probabilities_are_judged_on_users_that_were_not_used_to_fit_them(rows_and_measured):
    rows, measured = rows_and_measured
    ids = [row.user_id for row in rows]
    everybody, fresh = calibration_section(measured, ids, None), calibration_section(measured, ids, RULE)
    assert not everybody["users_it_was_fitted_on_are_known"]
    helped = int(calibrates(ids).sum())
    assert (fresh["users"], fresh["users_left_out"]) == (USERS - helped, helped)
    assert 0 < helped < USERS
    assert everybody[ITEM]["predictions"] == 10 * USERS
    assert everybody[ITEM]["base_rate"] == pytest.approx(0.1), "the target heads every list"
    assert everybody[LIST]["base_rate"] == 1
    stated = np.minimum(measured.probabilities.sum(1), 0.999).mean()  # no list is surer
    assert everybody[LIST]["ece"] == pytest.approx(1 - stated)
    assert everybody[LIST]["brier_skill"] == 0, "where the base rate is certain nothing can be saved"


def test_personal_heads_are_told_from_shared_ones(rows_and_measured):
    _, measured = rows_and_measured
    section = personalisation_section(measured)
    assert section["effective_rank"] == pytest.approx(1), "heads differ along one line: parity"
    assert section["head_size"] == 3
    assert section["figures"][MODEL][NDCG] == 1
    lost = {(one["of"], one["figure"]): one for one in section["paired"]}
    assert lost[OTHERS_HEAD, NDCG]["high"] < 0
    assert lost[OTHERS_HEAD, LOG_LOSS]["low"] > 0
    assert [one["number"] for one in section["spread"]] == ["gain: next", "gain: previous", "log temperature"]
    assert section["spread"][0]["deviation"] == pytest.approx(0.5)
    assert 0 < section["overlap"][MODEL] < 1
