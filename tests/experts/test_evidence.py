"""Evidence is what addends come to, wherever it is asked for."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from recsys.experts.evidence import Evidence

N = 12
entries = st.lists(st.tuples(st.integers(0, N - 1), st.integers(-8, 8)), max_size=40)
asked = st.lists(st.integers(0, N - 1), max_size=20)


def evidence_of(said):
    columns = torch.tensor([column for column, _ in said], dtype=torch.int64)
    return Evidence.summed(columns, torch.tensor([float(addend) for _, addend in said]))


def dense(said):
    scores = torch.zeros(N)
    for column, addend in said:
        scores[column] += addend
    return scores


@given(entries, asked)
def test_it_is_the_sum_of_what_was_said_of_a_column_and_nothing_of_others(said, columns):
    at = torch.tensor(columns, dtype=torch.int64)
    assert torch.equal(evidence_of(said).at(at)[0], dense(said)[at])


@given(entries)
def test_columns_are_ascending_and_different(said):
    columns = evidence_of(said).columns.tolist()
    assert columns == sorted({column for column, _ in said})


@given(entries, st.integers(0, 15))
def test_the_most_are_those_with_the_largest_sums(said, number):
    evidence = evidence_of(said)
    best = evidence.most(number)
    assert len(best) == min(number, len(evidence.columns))
    assert (
        sorted(dense(said)[best].tolist(), reverse=True)
        == evidence.scores.sort(descending=True).values.tolist()[: len(best)]
    )
