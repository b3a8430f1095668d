"""Whatever a feature row holds, its scores are finite, and what had to be treated is counted, offline as online."""

from __future__ import annotations

import math
import sys
import time
import warnings
from dataclasses import fields
from functools import cache
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.context.batch import ContextBatch, FeatureRow
from recsys.context.encoder import ContextEncoder
from recsys.context.faults import ContextFaults
from recsys.context.moments import CLOCK_SKEW, believable
from recsys.context.profile import ProfileEncoding
from recsys.data.schema import WorkspaceSchema
from recsys.experts.body import BodyConfig, BodyExpert, SequenceEncoder
from recsys.experts.content import ContentExpert
from recsys.experts.habit import HabitConfig, HabitExpert
from recsys.experts.kinds import KINDS
from recsys.experts.long_term import LongTermMemory
from recsys.experts.memory import SequenceMemory
from recsys.experts.novelty import NoveltyExpert
from recsys.experts.popularity import PopularityExpert
from recsys.experts.repeat import RepeatConfig, RepeatExpert
from recsys.experts.top_weights import TopWeights
from recsys.model.calibration import Calibration, Line
from recsys.model.head import HeadConfig, HeadWeights
from recsys.model.hypernetwork import Hypernetwork
from recsys.model.personal import ModelConfig, PersonalModel, expert_specs
from recsys.model.scoring import ScoringNetwork
from recsys.model.statistics import context_statistics
from recsys.ranking.recommender import Recommender
from recsys.serving.api import create_app
from recsys.serving.ports import ServedFeatures, ServedModel

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    warnings.simplefilter("ignore", UserWarning)  # starlette would rather have httpx2
    from fastapi.testclient import TestClient

VOCABULARY = tuple("abcdefgh")
N, WIDTH, RANK = len(VOCABULARY), 8, 2
BEYOND_FLOAT32 = 2.0**128 - 2.0**103
PROFILE = ProfileEncoding.fit(
    [{"age": age, "job": job} for age, job in ((20.0, "x"), (20.5, "y"), (21.0, "x"))],
    {"age": "numeric", "job": "categorical"},
    min_count=1,
)

items = st.sampled_from([*VOCABULARY, "unheard-of"])
integers = st.integers(-(2**63), 2**63 - 1) | st.sampled_from([0, 1, -1, 2**63 - 1, -(2**63), 1_700_000_000_000_000])
any_number = integers | st.floats()
numbers = st.none() | st.floats() | st.sampled_from([10**400, -(10**400), 1e308])
event = st.tuples(items, integers, st.floats())
histories = st.lists(event, max_size=8) | event.map(lambda own: [own] * 200)


@st.composite
def rows(draw, counts=any_number):
    history, seen = draw(histories), draw(st.lists(st.tuples(items, integers, integers), max_size=5))
    return FeatureRow(
        user_id="u",
        history_items=tuple(item for item, _, _ in history),
        history_times=tuple(at for _, at, _ in history),
        history_values=tuple(value for _, _, value in history),
        seen_items=tuple(item for item, _, _ in seen),
        seen_counts=tuple(count for _, count, _ in seen),
        seen_last=tuple(last for _, _, last in seen),
        event_count=draw(counts | st.integers(0, 9)),
        present=True,
        profile={"age": draw(numbers), "job": draw(st.none() | st.sampled_from(["x", "z", ""]))},
    )


def faults_in(row: FeatureRow) -> ContextFaults:
    """What is wrong with a row, event by event."""
    history = zip(row.history_items, row.history_times, row.history_values, strict=True)
    known = [(at, value) for item, at, value in history if item in VOCABULARY]
    seen = zip(row.seen_items, row.seen_counts, row.seen_last, strict=True)
    age = row.profile["age"]
    stored = float(torch.tensor(float(row.event_count), dtype=torch.float32))
    return ContextFaults(
        unknown_items=len(row.history_items) - len(known),
        values=sum(not abs(value) < BEYOND_FLOAT32 for _, value in known),
        times=sum(at <= 0 for at, _ in known),
        order=sum(later < earlier for (earlier, _), (later, _) in pairwise(known)),
        records=sum(item in VOCABULARY and min(count, last) < 0 for item, count, last in seen),
        event_counts=int(not len(known) <= stored < BEYOND_FLOAT32),
        profile_numbers=int(age is not None and not abs(age) <= sys.float_info.max),
    )


def network(attention: str) -> ScoringNetwork:
    """Every kind of expert with random weights."""
    body = SequenceEncoder(BodyConfig(width=WIDTH, layers=1, heads=2, length=6, clock=True, attention=attention))
    for parameter in body.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    vectors, weights, described = torch.randn(N + 1, WIDTH), torch.randn(2, N + 1, N), torch.ones(N + 1, 3)
    for padded in (vectors, weights[0], weights[1], described):
        padded[0] = 0
    others = {
        "memory": SequenceMemory(weights, (0.5, 0.9), (3, 200)),
        "sparse memory": SequenceMemory(TopWeights.of(weights, 2), (0.5, 0.9), (3, 200)),
        "long_term": LongTermMemory(weights[0], 1.0),
        "content": ContentExpert(described, torch.randn(3, N), 0.8, 30),
        "repeat": RepeatExpert(N, RepeatConfig()),
        "repeat in events": RepeatExpert(N, RepeatConfig(age="events")),
        "habit": HabitExpert(torch.randn(6), torch.randn(N), torch.tensor(-1.0), HabitConfig()),
        "novelty": NoveltyExpert(N),
        "popularity": PopularityExpert(torch.rand(N)),
    }
    assert {BodyExpert.kind, *(expert.kind for expert in others.values())} == set(KINDS)
    experts = 1 + len(others)
    bases, discovery = torch.randn(2, WIDTH, RANK), ("body", "content")
    return ScoringNetwork(BodyExpert(body, vectors), others, torch.ones(experts), bases, discovery)


@cache
def recommender_with(attention: str) -> Recommender:
    torch.manual_seed(3)
    experts = network(attention)
    encoder = ContextEncoder(VOCABULARY, PROFILE, 200)
    nobody = encoder.encode([FeatureRow(user_id=None)])
    n_statistics = context_statistics(nobody, experts.outputs(nobody), experts, clock=True).shape[1]
    head = HeadConfig(kind="lowrank", rank=RANK, hidden=8)
    hypernetwork = Hypernetwork(head, n_statistics, len(experts.names), WIDTH)
    torch.nn.init.normal_(hypernetwork.network[-1].weight, std=0.5)
    config = ModelConfig(
        clock=True,
        body=experts.body.encoder.config,
        head=head,
        experts=expert_specs(experts),
        n_statistics=n_statistics,
    )
    shared = HeadWeights(torch.ones(1, len(experts.names)), torch.zeros(1))
    model = PersonalModel(config, experts, hypernetwork, shared)
    schema = WorkspaceSchema(name="small", user_columns={"age": "numeric", "job": "categorical"}, repeats=True)
    return Recommender(model, encoder, schema, Calibration(Line(1.0, -1.0)), "7")


@pytest.fixture(scope="module")
def recommender() -> Recommender:
    return recommender_with("gated")


class OneRow:
    """A store in which everybody has the same row, a registry with one model, and nothing else."""

    row = FeatureRow(user_id=None)

    def __init__(self, recommender: Recommender) -> None:
        self.features = ServedFeatures(self, recommender.schema, "context")
        self.model = ServedModel(
            recommender, "7", "", frozenset(VOCABULARY), self.features, context_faults=recommender.context_faults
        )

    def online(self, user_ids):
        return [self.row] * len(user_ids)

    def current(self):
        return self.model

    def append(self, frame):
        raise NotImplementedError

    def refresh(self, user_ids):
        raise NotImplementedError


@pytest.fixture(scope="module")
def store(recommender) -> OneRow:
    return OneRow(recommender)


@pytest.fixture(scope="module")
def http(recommender, store):
    app = create_app(models=store, features=store.features, log=store, live=store)
    with TestClient(app) as client:
        yield client


@pytest.mark.slow
@pytest.mark.parametrize("attention", ["gated", "softmax"])
@given(row=rows())
def test_every_score_is_finite_and_so_is_its_explanation(attention, row):
    recommender = recommender_with(attention)
    scored = recommender.model.forward(recommender.encoder.encode([row]))
    for name, own in zip(recommender.model.network.names, scored.outputs.scores[0], strict=True):
        assert torch.isfinite(own).all(), name
    assert torch.isfinite(scored.scores).all()
    assert torch.isfinite(scored.head.flat()).all()
    for one in recommender.explain(row, ["a", "h"]):
        assert math.isfinite(sum(one.experts.values()))
        assert all(math.isfinite(fall) for _, fall in one.history)


@settings(max_examples=50)
@given(st.lists(rows(), max_size=4))
def test_what_was_treated_is_what_was_wrong(recommender, batch):
    before = recommender.encoder.faults
    recommender.encoder.encode(batch)
    assert recommender.encoder.faults == sum(map(faults_in, batch), before)
    assert recommender.encoder.unknown_items == recommender.encoder.faults.unknown_items


@settings(max_examples=50)
@given(st.lists(rows(), min_size=1, max_size=4))
def test_a_treated_row_has_the_same_numbers_alone_and_in_a_batch(recommender, batch):
    together, at = recommender.encoder.encode(batch), 0
    for index, row in enumerate(batch):
        alone = recommender.encoder.encode([row])
        for name in (field.name for field in fields(ContextBatch) if field.name != "seen_offsets"):
            mine, theirs = getattr(alone, name), getattr(together, name)
            own = theirs[at : at + len(mine)] if name.startswith("seen") else theirs[index : index + 1]
            assert torch.equal(mine, own), name
        at += len(alone.seen)


@settings(max_examples=30)
@given(rows(counts=integers))
def test_the_service_answers_it_and_counts_what_it_treated(recommender, store, http, row):
    store.row, before = row, recommender.encoder.faults
    reply = http.post("/v1/recommendations", json={"user_id": "u", "k": N})
    assert reply.status_code == 200, reply.text
    scores = [item["score"] for item in reply.json()["items"]]
    assert len(scores) == N
    assert all(isinstance(score, float) and math.isfinite(score) for score in scores)
    latest = time.time_ns() // 1000 + CLOCK_SKEW
    assert http.get("/v1/model").json()["context_faults"] == (before + faults_in(believable(row, latest))).as_dict()
