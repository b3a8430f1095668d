"""Popularity counts events, halves them with age where asked, and is the same for everyone."""

import numpy as np

from recsys.experts.popularity import PopularityConfig, fit_popularity


def test_counts_are_logged_and_never_negative(sequences, contexts):
    fitted = fit_popularity(sequences([1, 2, 2], [2]), 4, PopularityConfig())
    expected = np.log1p([1, 3, 0, 0]).astype(np.float32)
    assert fitted.score(contexts([1], [])).tolist() == [expected.tolist()] * 2


def test_an_event_counts_half_after_every_half_life(sequences, contexts):
    fitted = fit_popularity(sequences([1, 1, 1], [2]), 2, PopularityConfig(half_life_days=1.0))
    np.testing.assert_allclose(fitted.score(contexts([])).numpy(), [np.log1p([1 / 8 + 1 / 4 + 1 / 2, 1])], rtol=1e-6)


def test_no_events_are_no_popularity(sequences, contexts):
    for config in (PopularityConfig(), PopularityConfig(half_life_days=3.0)):
        assert fit_popularity(sequences([], []), 3, config).score(contexts([])).tolist() == [[0.0] * 3]
