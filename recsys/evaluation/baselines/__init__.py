"""What a recommender must beat, each tuned on validation only: popularity, EASE, implicit ALS, item neighbours."""

from recsys.evaluation.baselines.ease import EASE_RIDGES, LARGE_CATALOGUE_RIDGES, TunedEase, tune_ease
from recsys.evaluation.baselines.ials import IalsConfig, IalsScorer, fit_ials, ials_trials
from recsys.evaluation.baselines.neighbours import NeighbourConfig, NeighbourScorer, fit_neighbours, neighbour_trials
from recsys.evaluation.baselines.popularity import popularity_scorer, with_fallback
from recsys.evaluation.baselines.tuning import Trial, Tuned, ndcg_on, validation_ndcg
from recsys.evaluation.cases import Scorer

__all__ = [
    "EASE_RIDGES",
    "LARGE_CATALOGUE_RIDGES",
    "IalsConfig",
    "IalsScorer",
    "NeighbourConfig",
    "NeighbourScorer",
    "Scorer",
    "Trial",
    "Tuned",
    "TunedEase",
    "fit_ials",
    "fit_neighbours",
    "ials_trials",
    "ndcg_on",
    "neighbour_trials",
    "popularity_scorer",
    "tune_ease",
    "validation_ndcg",
    "with_fallback",
]
