"""A large catalogue is searched before it is scored: nearly the same list, exact scores, the same rules."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from recsys.context.batch import FeatureRow
from recsys.context.encoder import ContextEncoder
from recsys.context.profile import ProfileEncoding
from recsys.errors import SnapshotError
from recsys.experts.evidence import Evidence
from recsys.model.partial import PartialScoring
from recsys.model.personal import build_model
from recsys.ranking.kept_heads import KeptHeads
from recsys.ranking.large import LargeCatalogue, index_of
from recsys.ranking.recommender import Recommender
from recsys.ranking.retrieval import RetrievalConfig
from recsys.registry.snapshot import load_snapshot, write_snapshot
from tests.ranking.large_models import (
    LENGTH,
    ROWS,
    SETTINGS,
    VOCABULARY,
    N,
    fitted_model,
    scoring_every_item,
    searching,
)


@pytest.fixture(scope="module")
def model():
    return fitted_model()


@pytest.fixture(scope="module")
def large(model):
    return searching(model)


@pytest.fixture(scope="module")
def exact(model):
    return scoring_every_item(model)


def candidates(large, row, number):
    retrieval = large.large.retrieval
    heard = retrieval.partial.hear(large.encoder.encode([row]))
    return retrieval.candidates(heard, retrieval.partial.generate(heard), number)


def test_nearly_all_of_the_best_items_are_found_and_their_scores_are_exact(large, exact):
    found, truth = large.recommend(ROWS, k=100), exact.recommend(ROWS, k=100)
    recall = np.mean([len(set(a.item_ids) & set(b.item_ids)) / 100 for a, b in zip(found, truth, strict=True)])
    assert recall >= 0.95
    for own, row in zip(found, ROWS, strict=True):
        whole = exact.score([row])[0]
        torch.testing.assert_close(torch.tensor(own.scores), whole[exact.encoder.item_indices(own.item_ids) - 1])
        assert list(own.scores) == sorted(own.scores, reverse=True)


def test_far_fewer_items_are_scored_than_there_are(large):
    columns = candidates(large, ROWS[0], SETTINGS.candidates)
    assert SETTINGS.candidates <= len(columns) < N / 5
    assert torch.equal(columns, torch.unique(columns))


def test_what_only_the_history_speaks_for_is_a_candidate(large, model):
    evidence = Evidence.summed([model.network.others["memory"].addends(large.encoder.encode(ROWS[:1]))])
    assert torch.isin(evidence.most(0, 50), candidates(large, ROWS[0], 1)).all()


@pytest.mark.parametrize("kind", ["gains", "film", "lowrank", "full"])
@pytest.mark.parametrize("repeats", [False, True])
def test_heads_and_scores_of_a_part_are_those_of_the_whole(kind, repeats):
    model = fitted_model(repeats=repeats, kind=kind)
    encoder = ContextEncoder(VOCABULARY, ProfileEncoding(), LENGTH)
    partial = PartialScoring(model)
    for row in (*ROWS[:3], FeatureRow(user_id=None)):
        context = encoder.encode([row])
        whole = model.forward(context)
        heard = partial.hear(context)
        generated = partial.generate(heard)
        torch.testing.assert_close(generated.head.flat(), whole.head.flat(), atol=1e-4, rtol=1e-4)
        known = context.seen - 1
        columns = torch.unique(torch.cat([known, torch.arange(0, N, 7)]))
        at = partial.scores(heard, generated, columns)
        torch.testing.assert_close(at, whole.scores[:, columns], atol=1e-4, rtol=1e-4)


def test_where_items_repeat_known_items_and_new_ones_are_found():
    model = fitted_model(repeats=True)
    found = searching(model, repeats=True).recommend(ROWS, k=20)
    truth = scoring_every_item(model, repeats=True).recommend(ROWS, k=20)
    recall = np.mean([len(set(a.item_ids) & set(b.item_ids)) / 20 for a, b in zip(found, truth, strict=True)])
    assert recall >= 0.95


def test_below_the_threshold_every_item_is_scored_to_the_last_bit(model, exact):
    assert exact.large is None
    plain = Recommender(model, exact.encoder, exact.schema, exact.calibration, "1")
    assert exact.recommend(ROWS[:5], k=50) == plain.recommend(ROWS[:5], k=50)


def test_every_item_is_scored_where_heads_read_every_items_opinion(model):
    config = model.config.model_copy(update={"head": model.config.head.model_copy(update={"panel_above": N})})
    assert LargeCatalogue.of(build_model(config, model.tensors()), SETTINGS) is None


def test_seen_excluded_and_unavailable_items_never_come(large):
    [best] = large.recommend(ROWS[:1], k=60, exclude_seen=False)
    allowed = ~large.flags(best.item_ids[:20])
    [rest] = large.recommend(ROWS[:1], k=60, allowed=allowed, exclude_items=best.item_ids[20:40])
    hidden = {*best.item_ids[:40], *ROWS[0].seen_items}
    assert len(rest.item_ids) == 60
    assert not hidden & set(rest.item_ids)


@pytest.mark.parametrize("left", [3, 90, 700])
def test_of_a_narrow_filter_every_item_is_scored(large, exact, left):
    only = VOCABULARY[:left]
    found, truth = (own.recommend(ROWS[:10], k=30, include_only=only) for own in (large, exact))
    assert [set(own.item_ids) for own in found] == [set(own.item_ids) for own in truth]


def test_a_wide_filter_costs_no_recall(large, exact):
    only = VOCABULARY[::2]
    found, truth = (own.recommend(ROWS, k=100, include_only=only) for own in (large, exact))
    recall = np.mean([len(set(a.item_ids) & set(b.item_ids)) / 100 for a, b in zip(found, truth, strict=True)])
    assert recall >= 0.95
    assert all(set(own.item_ids) <= set(only) for own in found)


def test_too_few_candidates_left_means_that_all_that_is_left_is_scored(exact, model):
    few = RetrievalConfig(exact_items=0, candidates=20, popular=0, remembered=1)
    large = searching(model, few)
    best = candidates(large, ROWS[0], N // 5)
    allowed = np.ones(N, dtype=bool)
    allowed[best.numpy()] = False
    found, truth = (own.recommend(ROWS[:1], k=5, allowed=allowed)[0] for own in (large, exact))
    assert found.item_ids == truth.item_ids


def test_a_list_of_everything_is_complete(large, exact):
    found, truth = (own.recommend(ROWS[:1], k=N)[0] for own in (large, exact))
    assert len(found.item_ids) == len(truth.item_ids) == N - len(ROWS[0].seen_items)
    assert set(found.item_ids) == set(truth.item_ids)


def test_no_item_left_gives_an_empty_list(large):
    assert large.recommend(ROWS[:1], allowed=np.zeros(N, dtype=bool))[0].item_ids == ()


def test_ties_come_in_the_vocabularys_order(model):
    flat = model.tensors()
    for name in ("body.items", "memory.weights", "content.weights", "popularity.log_counts"):
        flat[name] = torch.zeros_like(flat[name])
    large = searching(build_model(model.config, flat))
    [ranking] = large.recommend([FeatureRow(user_id=None)], k=20, include_only=VOCABULARY[100:300])
    assert ranking.item_ids == VOCABULARY[100:120]


def test_a_saved_index_answers_as_the_built_one(large, model):
    kept = model.tensors() | large.large.tensors()
    again = Recommender(
        build_model(model.config, kept),
        large.encoder,
        large.schema,
        large.calibration,
        "1",
        large=LargeCatalogue.of(model, SETTINGS, index_of(kept)),
    )
    assert again.recommend(ROWS, k=50) == large.recommend(ROWS, k=50)
    built_again = LargeCatalogue.of(model, SETTINGS).tensors()
    assert all(torch.equal(own, built_again[name]) for name, own in large.large.tensors().items())


def test_the_index_is_hashed_read_and_refused_with_the_weights(large, model, tmp_path):
    nothing: dict[str, object] = {}
    snapshot = write_snapshot(
        tmp_path / "snapshot",
        tensors=model.tensors() | large.large.tensors(),
        config=nothing,
        vocabulary=VOCABULARY,
        schema=large.schema,
        profile=nothing,
        calibration=nothing,
        metrics=nothing,
        card="# Large\n",
        lineage=nothing,
    )
    again = LargeCatalogue.of(model, SETTINGS, index_of(snapshot.tensors))
    query = torch.randn(large.large.retrieval.index.codebooks.shape[0] * 2)
    assert torch.equal(again.retrieval.index.search(query, 300), large.large.retrieval.index.search(query, 300))

    weights = snapshot.folder / "weights.safetensors"
    held = bytearray(weights.read_bytes())
    place = held.index(model_bytes := large.large.tensors()["index.codes"].numpy().tobytes()[:64])
    held[place + len(model_bytes) // 2] ^= 1
    weights.write_bytes(held)
    with pytest.raises(SnapshotError, match="weights.safetensors has changed"):
        load_snapshot(snapshot.folder)


@pytest.mark.parametrize("name", ["codes", "codebooks"])
def test_an_index_of_another_catalogue_is_refused_by_name(large, model, name):
    kept = index_of(large.large.tensors())
    for damaged in (kept | {name: kept[name][1:]}, {other: own for other, own in kept.items() if other != name}):
        with pytest.raises(SnapshotError, match=f"index.{name}"):
            LargeCatalogue.of(model, SETTINGS, damaged)


def test_kept_heads_give_the_same_list(large):
    keeping = large.keeping(KeptHeads(2**20), "model")
    first = keeping.recommend(ROWS[:2], k=20) + keeping.recommend(ROWS[:1], k=20)
    assert first[0] == first[2] == large.recommend(ROWS[:1], k=20)[0]
    changed = replace(ROWS[0], history_items=(*ROWS[0].history_items[:-1], VOCABULARY[5]))
    assert keeping.recommend([changed], k=20)[0] == large.recommend([changed], k=20)[0]
