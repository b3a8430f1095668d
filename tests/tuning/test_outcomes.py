"""What a trial is worth, and which one is best."""

from recsys.tuning.outcomes import Outcome, best_of
from recsys.tuning.trial import Judgement


def told(number, *body, whole=None, state=None):
    outcome = Outcome(number, {"body.width": number})
    for epoch, value in enumerate(body, 1):
        outcome.add(Judgement(epoch, {"ndcg@10": value, "hr@10": 1.0}))
    if whole is not None:
        outcome.add(Judgement(None, {"ndcg@10": whole, "hr@10": 1.0}))
    outcome.state = state or outcome.state
    return outcome


def test_a_trial_is_worth_its_model_and_until_then_its_body():
    assert told(0).value is None
    assert told(0, 0.1, 0.3, 0.2).value == 0.2
    finished = told(0, 0.1, 0.3, whole=0.25)
    assert (finished.value, finished.state, finished.body_curve) == (0.25, "finished", [0.1, 0.3])
    assert finished.as_dict()["ndcg@10"] == 0.25


def test_the_best_has_the_best_model_and_bodies_count_only_while_there_is_none():
    stopped, poor, good = told(0, 0.9, state="stopped early"), told(1, 0.1, whole=0.2), told(2, 0.1, whole=0.3)
    assert best_of([stopped]) is stopped
    assert best_of([stopped, poor]) is poor
    assert best_of([stopped, poor, good]) is good


def test_a_failed_one_is_never_the_best_and_of_equals_it_is_the_first():
    assert best_of([told(0, 0.9, state="failed"), told(1)]) is None
    first, second = told(0, whole=0.5), told(1, whole=0.5)
    assert best_of([second, first]) is first
