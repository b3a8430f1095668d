"""Evidence is what each memory's addends come to, wherever it is asked for."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from recsys.experts.evidence import Evidence

N = 12
memories = st.lists(st.lists(st.tuples(st.integers(0, N - 1), st.integers(-8, 8)), max_size=30), max_size=3)
asked = st.lists(st.integers(0, N - 1), max_size=20)


def evidence_of(said):
    return Evidence.summed(
        [
            (torch.tensor([column for column, _ in own], dtype=torch.int64), torch.tensor([float(a) for _, a in own]))
            for own in said
        ]
    )


def dense(said):
    scores = torch.zeros(len(said), N)
    for row, own in zip(scores, said, strict=True):
        for column, addend in own:
            row[column] += addend
    return scores


@given(memories, asked)
def test_it_is_the_sum_of_what_was_said_of_a_column_and_nothing_of_others(said, columns):
    at = torch.tensor(columns, dtype=torch.int64)
    assert torch.equal(evidence_of(said).at(at), dense(said)[:, at])


@given(memories)
def test_columns_are_ascending_and_different(said):
    assert evidence_of(said).columns.tolist() == sorted({column for own in said for column, _ in own})


@given(memories.filter(bool), st.integers(0, 15))
def test_the_most_are_those_with_the_largest_sums(said, number):
    evidence = evidence_of(said)
    for memory, scores in enumerate(dense(said)):
        best = scores[evidence.most(memory, number)]
        assert len(best) == min(number, len(evidence.columns))
        assert best.sort().values.tolist() == scores[evidence.columns].sort().values.tolist()[-len(best) or N :]
